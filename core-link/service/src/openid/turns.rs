//! One at a time for each sign-in at this Core, so that a repeated request waits here and asks no other Core's claim.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::{Mutex as TurnLock, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

/// Whoever asks for one sign-in at the same time: the request, and its repeats by an Edge or NGINX. With more, somebody
/// who sends a single nonce again and again would fill all places with waiting.
const SAME_MAX: usize = 4;

/// The sign-ins that end right now.
#[derive(Debug)]
pub(super) struct Turns {
    /// Also of those who wait, so that a repeated request holds no more than another.
    places: Arc<Semaphore>,
    taken: Mutex<HashMap<[u8; 32], Weak<TurnLock<()>>>>,
}

/// The next one waits until this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    _lock: OwnedMutexGuard<()>,
    _place: OwnedSemaphorePermit,
}

impl Turns {
    pub(super) fn new(places: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(places)), taken: Mutex::default() }
    }

    /// `None`: all places are taken, or too many ask for this one.
    pub(super) fn take(&self, sign_in: [u8; 32]) -> Option<impl Future<Output = Place> + use<>> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        let lock = self.lock_of(sign_in)?;
        Some(async move { Place { _lock: lock.lock_owned().await, _place: place } })
    }

    fn lock_of(&self, sign_in: [u8; 32]) -> Option<Arc<TurnLock<()>>> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.retain(|_, lock| lock.strong_count() > 0);
        let Some(known) = taken.get(&sign_in) else {
            let lock = Arc::default();
            taken.insert(sign_in, Arc::downgrade(&lock));
            return Some(lock);
        };
        // Each of them holds it once, whether it waits or not.
        if known.strong_count() < SAME_MAX { known.upgrade() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn the_same_sign_in_waits_for_its_turn_and_another_does_not() {
        let turns = Turns::new(3);
        let first = turns.take([1; 32]).unwrap().await;
        assert!(turns.take([1; 32]).unwrap().now_or_never().is_none());
        assert!(turns.take([2; 32]).unwrap().now_or_never().is_some());
        drop(first);
        assert!(turns.take([1; 32]).unwrap().now_or_never().is_some());
        assert_eq!(turns.taken.lock().unwrap().len(), 1, "what nobody holds is forgotten");
    }

    #[tokio::test]
    async fn one_sign_in_sent_often_leaves_places_for_others() {
        let turns = Turns::new(32);
        let holding = turns.take([1; 32]).unwrap().await;
        let waiting: Vec<_> = (0..31).filter_map(|_| turns.take([1; 32])).collect();
        assert_eq!(waiting.len(), SAME_MAX - 1);
        assert!(turns.take([2; 32]).unwrap().now_or_never().is_some());
        drop((holding, waiting));
        assert!(turns.take([1; 32]).unwrap().now_or_never().is_some());
    }

    #[tokio::test]
    async fn those_who_wait_have_a_place_as_well() {
        let turns = Turns::new(2);
        let first = turns.take([1; 32]).unwrap().await;
        let second = turns.take([1; 32]).unwrap();
        assert!(turns.take([2; 32]).is_none());
        drop(first);
        drop(second.await);
        assert!(turns.take([2; 32]).is_some());
    }
}
