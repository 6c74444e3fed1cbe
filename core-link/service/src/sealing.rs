//! The master key, and what is sealed or authenticated under it.
//!
//! Each value is sealed under a key of its own, derived for the place where it rests (table, column, row): a value
//! that was moved does not open, and no key is used often enough for a nonce to repeat.

mod master_key;

use std::fmt;

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, MAX_TAG_LEN, NONCE_LEN, Nonce, RandomizedNonceKey},
    hkdf, hmac,
};
pub use master_key::{Draft, MasterKey, MasterKeyError};
use zeroize::Zeroizing;

const FORMAT: u8 = 1;
const KEY_ID_LENGTH: usize = 8;
const HEADER_LENGTH: usize = 1 + KEY_ID_LENGTH + NONCE_LEN;

/// Where a sealed value rests. The row is named by something that never changes.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    pub table: &'static str,
    pub column: &'static str,
    pub row: &'a [u8],
}

/// A sealed value does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenSealedError {
    #[error("the sealed value in {table}.{column} is damaged")]
    Damaged { table: &'static str, column: &'static str },
    #[error("the sealed value in {table}.{column} belongs to another master key")]
    OtherKey { table: &'static str, column: &'static str },
}

/// Seals and opens, and authenticates tokens and operations, under subkeys of one master key.
pub struct Sealer {
    key_id: [u8; KEY_ID_LENGTH],
    seal: hkdf::Prk,
    token: hmac::Key,
    operation: hmac::Key,
    openid: hmac::Key,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(***)")
    }
}

impl Sealer {
    pub fn new(master: &MasterKey) -> Self {
        let mut key_id = [0; KEY_ID_LENGTH];
        key_id.copy_from_slice(&master.subkey(b"key id")[..KEY_ID_LENGTH]);
        Self {
            key_id,
            seal: hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, &*master.subkey(b"seal")),
            token: hmac::Key::new(hmac::HMAC_SHA256, &*master.subkey(b"token")),
            operation: hmac::Key::new(hmac::HMAC_SHA256, &*master.subkey(b"operation")),
            openid: hmac::Key::new(hmac::HMAC_SHA256, &*master.subkey(b"openid")),
        }
    }

    /// Seals a value for this place: format, key id, nonce, ciphertext, tag.
    pub fn seal(&self, place: Place<'_>, plain: &[u8]) -> Vec<u8> {
        let mut body = Vec::with_capacity(plain.len() + MAX_TAG_LEN);
        body.extend_from_slice(plain);
        let nonce = self
            .key_for(place)
            .seal_in_place_append_tag(Aad::from(place.name()), &mut body)
            .expect("a value in memory is shorter than AES-GCM's limit of 64 GiB");
        let mut sealed = Vec::with_capacity(HEADER_LENGTH + body.len());
        sealed.push(FORMAT);
        sealed.extend_from_slice(&self.key_id);
        sealed.extend_from_slice(nonce.as_ref());
        sealed.extend_from_slice(&body);
        sealed
    }

    /// Opens what [`Self::seal`] made for the same place.
    pub fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenSealedError> {
        let damaged = OpenSealedError::Damaged { table: place.table, column: place.column };
        let Some((header, body)) = sealed.split_at_checked(HEADER_LENGTH) else { return Err(damaged) };
        let (key_id, nonce) = header[1..].split_at(KEY_ID_LENGTH);
        if header[0] != FORMAT {
            return Err(damaged);
        }
        if key_id != self.key_id {
            return Err(OpenSealedError::OtherKey { table: place.table, column: place.column });
        }
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| damaged)?;
        let mut body = Zeroizing::new(body.to_vec());
        let length =
            self.key_for(place).open_in_place(nonce, Aad::from(place.name()), &mut body).map_err(|_| damaged)?.len();
        body.truncate(length);
        Ok(body)
    }

    /// What is stored of a token: enough to find it, useless to whoever reads the database.
    pub fn token_digest(&self, token: &[u8]) -> [u8; 32] {
        digest(&self.token, &[token])
    }

    /// Name of an operation in the replay memory. Another payload under the same id has another name.
    pub fn operation_digest(&self, id: &[u8], kind: &str, payload: &[u8]) -> [u8; 32] {
        digest(&self.operation, &[id, kind.as_bytes(), payload])
    }

    /// For what a sign-in at the OpenID provider carries instead of a row. Each purpose has codes of its own.
    pub fn openid_mac(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
        digest(&self.openid, &[&[purpose.as_bytes()], parts].concat())
    }

    fn key_for(&self, place: Place<'_>) -> RandomizedNonceKey {
        let name = place.name();
        let info = [name.as_slice()];
        let mut key = Zeroizing::new([0; 32]);
        self.seal
            .expand(&info, hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(&mut *key))
            .and_then(|()| RandomizedNonceKey::new(&AES_256_GCM, &*key))
            .expect("HKDF-SHA256 yields 32 bytes, and AES-256 takes them")
    }
}

impl Place<'_> {
    /// Unambiguous: neither table nor column holds a zero byte.
    fn name(&self) -> Vec<u8> {
        [self.table.as_bytes(), self.column.as_bytes(), self.row].join(&0)
    }
}

fn digest(key: &hmac::Key, parts: &[&[u8]]) -> [u8; 32] {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let tag = context.sign();
    tag.as_ref().try_into().expect("HMAC-SHA256 yields 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place<'_> = Place { table: "people", column: "seed", row: b"7" };

    fn sealer() -> Sealer {
        Sealer::new(&MasterKey::random())
    }

    #[test]
    fn what_was_sealed_opens_at_its_place() {
        let sealer = sealer();
        let sealed = sealer.seal(PLACE, b"secret");
        assert_eq!(sealer.open(PLACE, &sealed).unwrap().as_slice(), b"secret");
        assert!(!sealed.windows(6).any(|part| part == b"secret"));
    }

    #[test]
    fn a_value_moved_to_another_row_does_not_open() {
        let sealer = sealer();
        let sealed = sealer.seal(PLACE, b"secret");
        let moved = Place { row: b"8", ..PLACE };
        assert!(matches!(sealer.open(moved, &sealed), Err(OpenSealedError::Damaged { .. })));
    }

    #[test]
    fn every_changed_or_missing_byte_is_noticed() {
        let sealer = sealer();
        let sealed = sealer.seal(PLACE, b"secret");
        for position in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[position] ^= 1;
            assert!(sealer.open(PLACE, &changed).is_err(), "byte {position}");
            assert!(sealer.open(PLACE, &sealed[..position]).is_err(), "cut at {position}");
        }
    }

    #[test]
    fn another_master_key_is_named_as_the_cause() {
        let sealed = sealer().seal(PLACE, b"secret");
        assert!(matches!(sealer().open(PLACE, &sealed), Err(OpenSealedError::OtherKey { .. })));
    }

    #[test]
    fn parts_of_an_operation_cannot_be_shifted_into_each_other() {
        let sealer = sealer();
        assert_ne!(sealer.operation_digest(b"ab", "c", b"d"), sealer.operation_digest(b"a", "bc", b"d"));
        assert_ne!(sealer.operation_digest(b"a", "b", b"cd"), sealer.operation_digest(b"a", "bc", b"d"));
    }
}
