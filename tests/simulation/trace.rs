//! What happened in one run, in order, and what should not have.
//!
//! Two runs of one seed must have the same digest: then a failure can be repeated.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Clones write to the same trace.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trace {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    now: Duration,
    events: Vec<String>,
    violations: Vec<String>,
}

impl Trace {
    /// The time of the whole simulation; a host's own clock may have jumped.
    pub(crate) fn set_now(&self, now: Duration) {
        self.lock().now = now;
    }

    pub(crate) fn now(&self) -> Duration {
        self.lock().now
    }

    pub(crate) fn note(&self, who: &str, what: impl std::fmt::Display) {
        let mut shared = self.lock();
        let event = format!("{:>6} ms {who}: {what}", shared.now.as_millis());
        shared.events.push(event);
    }

    /// Something must never happen, and did.
    pub(crate) fn accuse(&self, what: impl Into<String>) {
        let what = what.into();
        self.note("VIOLATION", &what);
        self.lock().violations.push(what);
    }

    pub(crate) fn violations(&self) -> Vec<String> {
        self.lock().violations.clone()
    }

    pub(crate) fn events(&self) -> Vec<String> {
        self.lock().events.clone()
    }

    /// How often something like this was noted.
    pub(crate) fn count(&self, what: &str) -> usize {
        self.lock().events.iter().filter(|event| event.contains(what)).count()
    }

    pub(crate) fn digest(&self) -> u64 {
        let mut digest = DefaultHasher::new();
        self.lock().events.hash(&mut digest);
        digest.finish()
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
