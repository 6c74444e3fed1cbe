//! Requests that were sent and not yet replied to: id to waiting caller.
//!
//! Register before sending. Each entry leaves exactly once: completed, released by its caller, or
//! dropped by `close`, after which nothing can be registered. Knows nothing of sockets or tasks.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    sync::PoisonError,
};

use super::sync::{AtomicUsize, Mutex, MutexGuard, Ordering};

/// Most requests in flight on one tunnel. A Core that is this far behind answers nobody in time.
pub const IN_FLIGHT_MAX: usize = 1_000;
/// Most waits for persons on one tunnel. Who opens one has taken a seat among far fewer before, so this only keeps a
/// mistake there from growing without end.
pub const WAITS_MAX: usize = 65_536;

/// Two kinds that never take each other's room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Core replies by itself, and soon.
    Requests,
    /// Core replies when a person has done something; that is no load, and its silence says nothing.
    Waits,
}

impl Lane {
    fn max(self) -> usize {
        match self {
            Self::Requests => IN_FLIGHT_MAX,
            Self::Waits => WAITS_MAX,
        }
    }
}

/// Why a request was not registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    #[error("as much is in flight as may be")]
    Full,
    #[error("the tunnel has ended")]
    Closed,
}

/// Ids are chosen here, from 1 upward, and never reused; `W` wakes the caller.
#[derive(Debug)]
pub struct InFlight<W> {
    state: Mutex<State<W>>,
    /// How many of the map are requests: written under the lock, and read without it to pick a tunnel.
    requests: AtomicUsize,
    /// The same for waits.
    waits: AtomicUsize,
}

#[derive(Debug)]
struct State<W> {
    last_id: u64,
    /// `None` once closed.
    waiting: Option<HashMap<u64, (Lane, W), BuildHasherDefault<IdHasher>>>,
}

impl<W> Default for InFlight<W> {
    fn default() -> Self {
        let state = State { last_id: 0, waiting: Some(HashMap::default()) };
        Self { state: Mutex::new(state), requests: AtomicUsize::new(0), waits: AtomicUsize::new(0) }
    }
}

impl<W> InFlight<W> {
    /// Enters a waiting caller and returns the id of its request.
    pub fn register(&self, lane: Lane, waiter: W) -> Result<u64, RegisterError> {
        let mut state = self.lock();
        let id = state.last_id + 1;
        let waiting = state.waiting.as_mut().ok_or(RegisterError::Closed)?;
        let count = self.count(lane);
        if count.load(Ordering::Relaxed) >= lane.max() {
            return Err(RegisterError::Full);
        }
        waiting.insert(id, (lane, waiter));
        count.fetch_add(1, Ordering::Relaxed);
        state.last_id = id;
        Ok(id)
    }

    /// Takes out who waits for this id. `None` for an id that is unknown, released or completed.
    pub fn complete(&self, id: u64) -> Option<W> {
        let mut state = self.lock();
        let (lane, waiter) = state.waiting.as_mut()?.remove(&id)?;
        self.count(lane).fetch_sub(1, Ordering::Relaxed);
        Some(waiter)
    }

    /// Shows every waiter of one kind, who may be given another way to be woken.
    pub fn for_each(&self, lane: Lane, mut visit: impl FnMut(&mut W)) {
        let mut state = self.lock();
        for (of, waiter) in state.waiting.iter_mut().flat_map(HashMap::values_mut) {
            if *of == lane {
                visit(waiter);
            }
        }
    }

    /// Drops every waiter and refuses later ones.
    pub fn close(&self) {
        let mut state = self.lock();
        let waiting = state.waiting.take();
        self.requests.store(0, Ordering::Relaxed);
        self.waits.store(0, Ordering::Relaxed);
        drop(state);
        // Outside the lock: dropping wakes the callers.
        drop(waiting);
    }

    /// How many callers wait for this kind of reply now.
    pub fn waiting(&self, lane: Lane) -> usize {
        self.count(lane).load(Ordering::Relaxed)
    }

    fn count(&self, lane: Lane) -> &AtomicUsize {
        match lane {
            Lane::Requests => &self.requests,
            Lane::Waits => &self.waits,
        }
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
