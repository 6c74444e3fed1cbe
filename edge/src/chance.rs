//! Where a random choice comes from. An argument, so that a simulation can repeat a run.

use std::{fmt, sync::Arc};

use rand::Rng as _;

/// Picks numbers. Clones share the source.
#[derive(Clone)]
pub struct Chance(Arc<dyn Fn(usize) -> usize + Send + Sync>);

impl Chance {
    /// `below` gives a number from 0 up to its argument, which is never 0.
    pub fn new(below: impl Fn(usize) -> usize + Send + Sync + 'static) -> Self {
        Self(Arc::new(below))
    }

    pub(crate) fn below(&self, bound: usize) -> usize {
        (self.0)(bound)
    }
}

impl Default for Chance {
    /// The thread's own generator, which takes no lock.
    fn default() -> Self {
        Self::new(|bound| rand::rng().random_range(0..bound))
    }
}

impl fmt::Debug for Chance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chance")
    }
}
