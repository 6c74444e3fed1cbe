//! The lock and the counters of [`super::in_flight`]: here those of the system. `tests/simulation` compiles that file
//! a second time, where this module is loom's, and tries every interleaving.

pub(super) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicUsize, Ordering},
};
