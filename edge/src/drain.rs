//! The order to stop: given once, seen by everyone, cheap to look at for every reply.

use std::sync::{Arc, OnceLock};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Clones give and see the same order.
#[derive(Debug, Clone, Default)]
pub struct Drain {
    begun_at: Arc<OnceLock<Instant>>,
    token: CancellationToken,
}

impl Drain {
    pub fn begin(&self) {
        // Before the token, so that whoever it wakes sees it.
        self.begun_at.get_or_init(Instant::now);
        self.token.cancel();
    }

    /// Takes no lock.
    pub fn has_begun(&self) -> bool {
        self.begun_at.get().is_some()
    }

    /// Waits for the order, and says when it was given.
    pub async fn begun(&self) -> Instant {
        self.token.cancelled().await;
        *self.begun_at.get().expect("it is written before the token is cancelled")
    }
}
