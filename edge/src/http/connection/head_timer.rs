//! The limit on how long a request's head may take, at the price of one timer for a whole connection.
//!
//! hyper starts and drops a timer for every head. Here that only writes down when the head is due; the watch wakes up
//! then, looks, and mostly goes back to sleep.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use hyper::rt;

/// Nothing is due.
const NEVER: u64 = u64::MAX;

#[derive(Debug)]
struct Shared {
    begun: Instant,
    /// Nanoseconds after `begun`.
    due: AtomicU64,
    is_overdue: AtomicBool,
}

/// hyper's end: the timer of one connection, which waits for one head at a time.
#[derive(Debug)]
pub(super) struct HeadTimer(Arc<Shared>);

/// One head's limit. Dropped when the head is there.
#[derive(Debug)]
struct HeadLimit(Arc<Shared>);

/// The connection's end.
#[derive(Debug)]
pub(super) struct HeadWatch {
    shared: Arc<Shared>,
    period: Duration,
    sleep: Pin<Box<tokio::time::Sleep>>,
    is_asleep: bool,
}

impl Shared {
    fn set_due(&self, due: Instant) {
        let nanos = due.saturating_duration_since(self.begun).as_nanos();
        self.due.store(u64::try_from(nanos).unwrap_or(NEVER), Ordering::Relaxed);
    }

    fn due(&self) -> Option<Instant> {
        let nanos = self.due.load(Ordering::Relaxed);
        (nanos != NEVER).then(|| self.begun + Duration::from_nanos(nanos))
    }
}

impl HeadWatch {
    pub(super) fn new(period: Duration) -> (HeadTimer, Self) {
        let begun = Instant::now();
        let shared = Arc::new(Shared { begun, due: AtomicU64::new(NEVER), is_overdue: AtomicBool::new(false) });
        let sleep = Box::pin(tokio::time::sleep_until((begun + period).into()));
        (HeadTimer(Arc::clone(&shared)), Self { shared, period, sleep, is_asleep: false })
    }

    /// True once the head is late: hyper finds that out when it is polled again.
    pub(super) fn is_overdue(&mut self, cx: &mut Context<'_>) -> bool {
        if self.is_asleep && !self.sleep.is_elapsed() {
            return false;
        }
        self.is_asleep = true;
        while self.sleep.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            let due = self.shared.due().unwrap_or(now + self.period);
            if due <= now {
                self.shared.is_overdue.store(true, Ordering::Relaxed);
                return true;
            }
            self.sleep.as_mut().reset(due.into());
        }
        false
    }
}

impl rt::Timer for HeadTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn rt::Sleep>> {
        self.sleep_until(Instant::now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn rt::Sleep>> {
        self.0.set_due(deadline);
        Box::pin(HeadLimit(Arc::clone(&self.0)))
    }

    fn reset(&self, _limit: &mut Pin<Box<dyn rt::Sleep>>, deadline: Instant) {
        self.0.set_due(deadline);
    }
}

impl rt::Sleep for HeadLimit {}

impl Future for HeadLimit {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<()> {
        // Nobody has to be woken: the watch belongs to the task that polls this.
        if self.0.is_overdue.load(Ordering::Relaxed) { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for HeadLimit {
    fn drop(&mut self) {
        self.0.due.store(NEVER, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use hyper::rt::Timer as _;
    use tokio::time::timeout;

    use super::*;

    const PERIOD: Duration = Duration::from_millis(50);

    async fn overdue(watch: &mut HeadWatch) {
        poll_fn(|cx| if watch.is_overdue(cx) { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    #[tokio::test]
    async fn a_head_that_stays_away_is_overdue_after_the_period() {
        let (timer, mut watch) = HeadWatch::new(PERIOD);
        let begun = Instant::now();
        let limit = timer.sleep(PERIOD);
        overdue(&mut watch).await;
        limit.await;
        assert!((PERIOD..PERIOD * 10).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn a_head_that_came_is_never_overdue() {
        let (timer, mut watch) = HeadWatch::new(PERIOD);
        drop(timer.sleep(PERIOD));
        assert!(timeout(PERIOD * 4, overdue(&mut watch)).await.is_err());
    }

    #[tokio::test]
    async fn each_head_has_the_whole_period() {
        let (timer, mut watch) = HeadWatch::new(PERIOD);
        assert!(timeout(PERIOD * 3 / 2, overdue(&mut watch)).await.is_err());
        let begun = Instant::now();
        let mut limit = timer.sleep(PERIOD);
        timer.reset(&mut limit, begun + PERIOD * 2);
        overdue(&mut watch).await;
        assert!(begun.elapsed() >= PERIOD * 2, "{:?}", begun.elapsed());
    }
}
