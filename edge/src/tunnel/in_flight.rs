//! Requests that were sent and not yet replied to: id to waiting caller.
//!
//! Register before sending. Each entry leaves exactly once: completed, released by its caller, or
//! dropped by `close`, after which nothing can be registered. Knows nothing of sockets or tasks.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Most requests in flight on one tunnel. A Core that is this far behind answers nobody in time.
pub const IN_FLIGHT_MAX: usize = 1_000;

/// Why a request was not registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    #[error("{IN_FLIGHT_MAX} requests are in flight already")]
    Full,
    #[error("the tunnel has ended")]
    Closed,
}

/// Ids are chosen here, from 1 upward, and never reused; `W` wakes the caller.
#[derive(Debug)]
pub struct InFlight<W> {
    state: Mutex<State<W>>,
    /// Mirror of the map's length, so that picking a tunnel takes no lock.
    count: AtomicUsize,
}

#[derive(Debug)]
struct State<W> {
    last_id: u64,
    /// `None` once closed.
    waiting: Option<HashMap<u64, W, BuildHasherDefault<IdHasher>>>,
}

impl<W> Default for InFlight<W> {
    fn default() -> Self {
        let state = State { last_id: 0, waiting: Some(HashMap::default()) };
        Self { state: Mutex::new(state), count: AtomicUsize::new(0) }
    }
}

impl<W> InFlight<W> {
    /// Enters a waiting caller and returns the id of its request.
    pub fn register(&self, waiter: W) -> Result<u64, RegisterError> {
        let mut state = self.lock();
        let id = state.last_id + 1;
        let waiting = state.waiting.as_mut().ok_or(RegisterError::Closed)?;
        if waiting.len() >= IN_FLIGHT_MAX {
            return Err(RegisterError::Full);
        }
        waiting.insert(id, waiter);
        self.count.store(waiting.len(), Ordering::Relaxed);
        state.last_id = id;
        Ok(id)
    }

    /// Takes out who waits for this id. `None` for an id that is unknown, released or completed.
    pub fn complete(&self, id: u64) -> Option<W> {
        let mut state = self.lock();
        let waiting = state.waiting.as_mut()?;
        let waiter = waiting.remove(&id);
        self.count.store(waiting.len(), Ordering::Relaxed);
        waiter
    }

    /// Drops every waiter and refuses later ones.
    pub fn close(&self) {
        let waiting = self.lock().waiting.take();
        self.count.store(0, Ordering::Relaxed);
        // Outside the lock: dropping wakes the callers.
        drop(waiting);
    }

    /// How many callers wait now.
    pub fn waiting(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, State<W>> {
        // No code that runs under the lock can leave the map half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ids are consecutive numbers of our own, so one multiplication spreads them well enough.
#[derive(Debug, Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(self.0 ^ u64::from(*byte));
        }
    }

    fn write_u64(&mut self, id: u64) {
        self.0 = id.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_start_at_one_and_are_never_reused() {
        let in_flight = InFlight::default();
        assert_eq!(in_flight.register('a'), Ok(1));
        assert_eq!(in_flight.complete(1), Some('a'));
        assert_eq!(in_flight.register('b'), Ok(2));
    }

    #[test]
    fn an_entry_leaves_once() {
        let in_flight = InFlight::default();
        let id = in_flight.register('a').unwrap();
        assert_eq!(in_flight.complete(id), Some('a'));
        assert_eq!(in_flight.complete(id), None);
        assert_eq!(in_flight.waiting(), 0);
    }

    #[test]
    fn an_unknown_id_completes_nobody() {
        let in_flight = InFlight::default();
        in_flight.register('a').unwrap();
        assert_eq!(in_flight.complete(7), None);
        assert_eq!(in_flight.complete(0), None);
        assert_eq!(in_flight.waiting(), 1);
    }

    #[test]
    fn beyond_the_limit_nothing_is_registered_until_a_slot_is_free() {
        let in_flight = InFlight::default();
        for _ in 0..IN_FLIGHT_MAX {
            in_flight.register(()).unwrap();
        }
        assert_eq!(in_flight.register(()), Err(RegisterError::Full));
        in_flight.complete(1);
        assert_eq!(in_flight.register(()), Ok(IN_FLIGHT_MAX as u64 + 1));
    }

    #[test]
    fn closing_drops_every_waiter_and_refuses_later_ones() {
        let in_flight = InFlight::default();
        let (waiter, caller) = std::sync::mpsc::channel::<()>();
        in_flight.register(waiter.clone()).unwrap();
        in_flight.close();
        assert_eq!(in_flight.register(waiter), Err(RegisterError::Closed));
        assert!(caller.recv().is_err(), "no waiter is left");
        assert_eq!(in_flight.waiting(), 0);
    }
}
