//! What a certificate authority finds under `/.well-known/acme-challenge/` while a certificate is ordered.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The answer to the one challenge of the one order. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Challenges(Arc<Mutex<Option<Challenge>>>);

#[derive(Debug)]
struct Challenge {
    token: String,
    key_authorization: String,
}

/// A challenge that can be answered. Dropping it takes the answer away.
#[derive(Debug)]
pub(super) struct ChallengeLease(Challenges);

impl Challenges {
    /// What to answer for that token.
    pub fn key_authorization(&self, token: &str) -> Option<String> {
        let challenge = self.lock();
        challenge.as_ref().filter(|challenge| challenge.token == token).map(|found| found.key_authorization.clone())
    }

    pub(super) fn offer(&self, token: &str, key_authorization: &str) -> ChallengeLease {
        let challenge = Challenge { token: token.to_owned(), key_authorization: key_authorization.to_owned() };
        *self.lock() = Some(challenge);
        ChallengeLease(self.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Challenge>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ChallengeLease {
    fn drop(&mut self) {
        *self.0.lock() = None;
    }
}
