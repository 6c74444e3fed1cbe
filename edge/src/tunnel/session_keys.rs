//! The keys that seal session cookies, as the Cores pushed them.
//!
//! Held is the union of what the Cores sent, by key id; the newest epoch says which one seals. A key
//! or ring that is wrong is refused and changes nothing. Without a Core there is no key.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use arc_swap::ArcSwapOption;
use aws_lc_rs::digest;
use postern_proto::{
    limits::SESSION_KEY_LENGTH,
    link::SessionKeyRing,
    session_key::{self, ID_DOMAIN, ID_LENGTH, WrongLength},
};
use zeroize::Zeroize as _;

use super::CoreSource;

/// Keys in one ring. A rotation needs two or three.
const RING_MAX: usize = 16;

/// Names a key; derived from it, so all Cores and Edges agree.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct KeyId(pub [u8; ID_LENGTH]);

impl KeyId {
    /// The id of this key.
    #[must_use]
    pub fn of(key: &[u8; SESSION_KEY_LENGTH]) -> Self {
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(ID_DOMAIN);
        hash.update(key);
        let mut id = [0; ID_LENGTH];
        id.copy_from_slice(&hash.finish().as_ref()[..ID_LENGTH]);
        Self(id)
    }
}

/// 32 bytes for signing, 32 for AES-256-GCM.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionKey([u8; SESSION_KEY_LENGTH]);

impl SessionKey {
    fn parse(bytes: &[u8]) -> Result<Self, WrongLength> {
        session_key::parse(bytes).map(|key| Self(*key))
    }

    #[must_use]
    pub fn as_bytes(&self) -> &[u8; SESSION_KEY_LENGTH] {
        &self.0
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey(***)")
    }
}

impl Drop for SessionKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// All keys that open, and the one that seals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRing {
    primary: KeyId,
    keys: BTreeMap<KeyId, SessionKey>,
}

impl KeyRing {
    /// The key that seals, with its id.
    #[must_use]
    pub fn primary(&self) -> (KeyId, &SessionKey) {
        let key = self.keys.get(&self.primary).expect("a ring is only built around its primary key");
        (self.primary, key)
    }

    /// The key that sealed something.
    #[must_use]
    pub fn get(&self, id: KeyId) -> Option<&SessionKey> {
        self.keys.get(&id)
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

/// Why a pushed key or ring is refused. Holds no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RingError {
    #[error("a key of the ring is refused")]
    Key(#[from] WrongLength),
    #[error("a key of the ring does not belong to its id")]
    WrongId,
    #[error("the primary key is not in the ring")]
    UnknownPrimary,
    #[error("a ring of {found} keys, at most {RING_MAX} are taken")]
    TooMany { found: usize },
}

/// What this Edge holds. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct SessionKeys {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    current: ArcSwapOption<KeyRing>,
    /// In order of arrival, so that of two equal epochs the later one counts.
    contributions: Mutex<Vec<Contribution>>,
}

#[derive(Debug)]
struct Contribution {
    source: CoreSource,
    /// The Core has no tunnel any more. Its keys still open, until another Core says something new.
    departed: bool,
    epoch: u64,
    ring: KeyRing,
}

impl SessionKeys {
    /// The keys as of now; `None` until a Core has sent one.
    #[must_use]
    pub fn current(&self) -> Option<Arc<KeyRing>> {
        self.shared.current.load_full()
    }

    #[must_use]
    pub fn is_held(&self) -> bool {
        self.shared.current.load().is_some()
    }

    /// Takes the key of an InitialInfo: epoch 0, unless that Core's ring holds it already.
    pub(crate) fn add_key(&self, source: &CoreSource, key: &[u8]) -> Result<(), RingError> {
        let key = SessionKey::parse(key)?;
        let id = KeyId::of(&key.0);
        let mut contributions = self.lock();
        let known = contributions.iter_mut().find(|known| known.source == *source);
        match known {
            Some(known) if known.ring.keys.contains_key(&id) => known.departed = false,
            Some(known) if known.epoch > 0 && known.ring.len() >= RING_MAX => {
                return Err(RingError::TooMany { found: known.ring.len() + 1 });
            }
            Some(known) if known.epoch > 0 => {
                known.departed = false;
                known.ring.keys.insert(id, key);
            }
            Some(_) | None => {
                let ring = KeyRing { primary: id, keys: BTreeMap::from([(id, key)]) };
                enter(&mut contributions, source, 0, ring);
            }
        }
        self.publish(&contributions);
        Ok(())
    }

    /// Takes a ring in place of what the same Core said before.
    pub(crate) fn replace(&self, source: &CoreSource, ring: &SessionKeyRing) -> Result<(), RingError> {
        let parsed = parse_ring(ring)?;
        let mut contributions = self.lock();
        enter(&mut contributions, source, ring.epoch, parsed);
        self.publish(&contributions);
        Ok(())
    }

    /// That Core's last tunnel has ended.
    pub(crate) fn depart(&self, source: &CoreSource) {
        if let Some(known) = self.lock().iter_mut().find(|known| known.source == *source) {
            known.departed = true;
        }
    }

    /// Forgets every key.
    pub(crate) fn clear(&self) {
        let mut contributions = self.lock();
        contributions.clear();
        self.publish(&contributions);
    }

    fn publish(&self, contributions: &[Contribution]) {
        let newest = contributions.iter().max_by_key(|contribution| contribution.epoch);
        let union = newest.map(|newest| KeyRing {
            primary: newest.ring.primary,
            keys: contributions.iter().flat_map(|known| known.ring.keys.clone()).collect(),
        });
        if self.shared.current.load().as_deref() != union.as_ref() {
            self.shared.current.store(union.map(Arc::new));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Contribution>> {
        self.shared.contributions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn enter(contributions: &mut Vec<Contribution>, source: &CoreSource, epoch: u64, ring: KeyRing) {
    contributions.retain(|known| known.source != *source && !known.departed);
    contributions.push(Contribution { source: source.clone(), departed: false, epoch, ring });
}

fn parse_ring(ring: &SessionKeyRing) -> Result<KeyRing, RingError> {
    if ring.keys.len() > RING_MAX {
        return Err(RingError::TooMany { found: ring.keys.len() });
    }
    let mut keys = BTreeMap::new();
    for entry in &ring.keys {
        let key = SessionKey::parse(&entry.key)?;
        let id = KeyId::of(&key.0);
        if entry.id != id.0 {
            return Err(RingError::WrongId);
        }
        keys.insert(id, key);
    }
    let primary = ring.primary_id.as_slice().try_into().map(KeyId).map_err(|_| RingError::UnknownPrimary)?;
    if !keys.contains_key(&primary) {
        return Err(RingError::UnknownPrimary);
    }
    Ok(KeyRing { primary, keys })
}
