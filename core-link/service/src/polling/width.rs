//! For how many polls one read is made.
//!
//! The more, the less work each of them is. But whoever logs in takes a dozen steps, one after the other, and waits before each
//! for a thread: behind what the last read has set free. Where processor time is short, as in a container with a limit,
//! so long that a caller leaves. So a read is made for as many as leave others a thread soon.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use tokio::{task::yield_now, time::Instant};

/// So long a task that could go on may wait for a thread.
const WAIT_MAX: Duration = Duration::from_millis(10);

/// Between one and as many as the store reads for at once.
#[derive(Debug)]
pub(super) struct Width {
    max: usize,
    now: AtomicUsize,
}

impl Width {
    pub(super) fn new(max: usize) -> Self {
        Self { max, now: AtomicUsize::new(max) }
    }

    pub(super) fn now(&self) -> usize {
        self.now.load(Ordering::Relaxed)
    }

    /// To be called when a read has ended: lets all that it set free go first, and sees how long that takes.
    pub(super) async fn measure(&self) {
        if self.max == 1 {
            return;
        }
        let ready = Instant::now();
        yield_now().await;
        self.adapt(ready.elapsed());
    }

    fn adapt(&self, wait: Duration) {
        let width = self.now();
        let width =
            if wait <= WAIT_MAX { width + 1 } else { (width as f64 * WAIT_MAX.div_duration_f64(wait)) as usize };
        self.now.store(width.clamp(1, self.max), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_is_made_for_fewer_at_once_where_others_wait_and_for_more_step_by_step() {
        let width = Width::new(16);
        for (wait_ms, expected) in [(10, 16), (20, 8), (10, 9), (0, 10), (1_000, 1), (1_000, 1), (3, 2)] {
            width.adapt(Duration::from_millis(wait_ms));
            assert_eq!(width.now(), expected, "after {wait_ms} ms");
        }
    }

    #[tokio::test]
    async fn what_a_read_set_free_goes_first_and_its_time_counts() {
        let width = Width::new(16);
        let free = async { std::thread::sleep(4 * WAIT_MAX) };
        tokio::join!(width.measure(), free);
        assert!((1..=4).contains(&width.now()), "{}", width.now());
    }
}
