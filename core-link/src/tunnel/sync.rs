//! The counter of [`super::permits`]: here that of the system. `tests/simulation` compiles that file a second time,
//! where this module is loom's, and tries every interleaving.

pub(super) use std::sync::atomic::{AtomicUsize, Ordering};
