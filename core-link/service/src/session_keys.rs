//! The keys that seal people's session cookies on every Edge.
//!
//! Edges keep none of them: each Core sends the ring first on every tunnel. A key opens before it seals, so that no
//! Edge ever meets a cookie that it cannot open.

use std::fmt;

use aws_lc_rs::{digest, rand};
use postern_proto::{limits::SESSION_KEY_LENGTH, session_key};
use zeroize::Zeroizing;

use crate::{
    changes::Topic,
    store::{Store, StoreError, Tx},
};

/// One session key with its id.
pub struct SessionKey {
    pub id: [u8; session_key::ID_LENGTH],
    pub key: Zeroizing<[u8; SESSION_KEY_LENGTH]>,
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey(***)")
    }
}

/// All keys that open, and the one that seals.
#[derive(Debug)]
pub struct SessionKeyRing {
    /// Grows with each change of the primary key.
    pub epoch: u64,
    pub primary: SessionKey,
    pub open_only: Vec<SessionKey>,
}

impl SessionKey {
    fn random() -> Self {
        let mut key = Zeroizing::new([0; SESSION_KEY_LENGTH]);
        rand::fill(&mut *key).expect("the system's random numbers are available");
        Self { id: id_of(key.as_slice()), key }
    }
}

/// Makes the first key when there is none.
pub(crate) async fn ensure(tx: &mut Tx) -> Result<(), StoreError> {
    if tx.has_session_keys().await? {
        return Ok(());
    }
    tx.insert_primary_session_key(&SessionKey::random(), 1).await?;
    tx.announce(Topic::SessionKeys).await
}

/// The ring as Edges get it.
pub async fn ring(store: &Store) -> Result<SessionKeyRing, StoreError> {
    store.read(|tx| Box::pin(tx.session_key_ring())).await
}

fn id_of(key: &[u8]) -> [u8; session_key::ID_LENGTH] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(session_key::ID_DOMAIN);
    context.update(key);
    let mut id = [0; session_key::ID_LENGTH];
    id.copy_from_slice(&context.finish().as_ref()[..session_key::ID_LENGTH]);
    id
}
