//! Which socket waits for which login on this Edge: at most one, and the newest.
//!
//! Among several Edges Core sees to the same. Tokens are kept as digests.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aws_lc_rs::digest::{self, SHA256, SHA256_OUTPUT_LEN};
use tokio::sync::oneshot;

type Key = [u8; SHA256_OUTPUT_LEN];

/// Clones share the places.
#[derive(Debug, Clone, Default)]
pub(super) struct Waiters(Arc<Mutex<Places>>);

#[derive(Debug, Default)]
struct Places {
    last: u64,
    /// Dropping a sender tells its socket that it was replaced.
    taken: HashMap<Key, (u64, oneshot::Sender<()>)>,
}

/// A socket's place. Dropping it gives it back, unless a newer one has it already.
#[derive(Debug)]
pub(super) struct WaiterPlace {
    key: Key,
    number: u64,
    replaced: oneshot::Receiver<()>,
    waiters: Waiters,
}

impl Waiters {
    /// Takes the place for this token, from whoever has it.
    pub(super) fn enter(&self, token: &str) -> WaiterPlace {
        let mut key = Key::default();
        key.copy_from_slice(digest::digest(&SHA256, token.as_bytes()).as_ref());
        let (held, replaced) = oneshot::channel();
        let mut places = self.lock();
        places.last += 1;
        let number = places.last;
        let older = places.taken.insert(key, (number, held));
        drop((places, older));
        WaiterPlace { key, number, replaced, waiters: self.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        // Whatever panicked under the lock, each change to the map was whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WaiterPlace {
    /// Resolves when a newer socket has the place.
    pub(super) async fn is_replaced(&mut self) {
        // Nothing is ever sent: the other end is dropped.
        drop((&mut self.replaced).await);
    }
}

impl Drop for WaiterPlace {
    fn drop(&mut self) {
        let mut places = self.waiters.lock();
        if places.taken.get(&self.key).is_some_and(|(number, _)| *number == self.number) {
            places.taken.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn the_newest_has_the_place_and_the_older_hears_of_it() {
        let waiters = Waiters::default();
        let (mut first, mut other) = (waiters.enter("a"), waiters.enter("b"));
        assert!(first.is_replaced().now_or_never().is_none());
        let mut second = waiters.enter("a");
        assert!(first.is_replaced().now_or_never().is_some());
        drop(first);
        let third = waiters.enter("a");
        assert!(second.is_replaced().now_or_never().is_some(), "the first took nothing away when it left");
        assert!(other.is_replaced().now_or_never().is_none());
        drop((second, third, other));
        assert!(waiters.lock().taken.is_empty());
    }
}
