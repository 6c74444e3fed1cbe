//! The order to stop: given once, seen by everyone, cheap to look at for every reply.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio_util::sync::CancellationToken;

/// Clones give and see the same order.
#[derive(Debug, Clone, Default)]
pub struct Drain {
    begun: Arc<AtomicBool>,
    token: CancellationToken,
}

impl Drain {
    pub fn begin(&self) {
        // Before the token, so that whoever it wakes sees the flag.
        self.begun.store(true, Ordering::Release);
        self.token.cancel();
    }

    /// Takes no lock.
    pub fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Acquire)
    }

    pub async fn begun(&self) {
        self.token.cancelled().await;
    }
}
