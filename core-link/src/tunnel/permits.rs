//! How many requests one tunnel serves at the same time.
//!
//! Never more than the limit, and of polls less, so that a crowd of devices leaves room for people. A permit is free again
//! when it is dropped, however its request ended.

use std::sync::Arc;

use super::sync::{AtomicUsize, Ordering};

/// Gives out permits, at most so many at a time.
#[derive(Debug)]
pub(crate) struct Permits {
    max: usize,
    taken: Arc<AtomicUsize>,
}

/// Leave to serve one request.
#[derive(Debug)]
pub(crate) struct Permit {
    taken: Arc<AtomicUsize>,
}

impl Permits {
    pub(crate) fn new(max: usize) -> Self {
        Self { max, taken: Arc::new(AtomicUsize::new(0)) }
    }

    /// `None` when all are taken.
    pub(crate) fn take(&self) -> Option<Permit> {
        self.take_below(self.max)
    }

    /// The same for a poll, which its device repeats by itself: `None` already when three quarters are taken.
    pub(crate) fn take_for_poll(&self) -> Option<Permit> {
        self.take_below(self.max - self.max / 4)
    }

    fn take_below(&self, max: usize) -> Option<Permit> {
        let one_more = |taken: usize| (taken < max).then_some(taken + 1);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        Some(Permit { taken: Arc::clone(&self.taken) })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.taken.fetch_sub(1, Ordering::Relaxed);
    }
}
