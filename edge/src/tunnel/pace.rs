//! How fast replies come over one tunnel, and so how long one more request would wait.
//!
//! Measured only while requests wait for their turn: an idle Core is not a slow one, nor is one that works on a few
//! slow requests. A network that is far or stumbles makes requests pile up as well, but some of their replies still come soon:
//! only where none does, a queue stays. Nothing here is a verdict on a Core's health.

use std::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::Instant;

/// So many requests a Core works on at the same time: with fewer in flight none of them waits for its turn.
const BUSY_MIN: usize = 32;
/// With so many in flight after a reply, the place that became free is the only one: what comes takes it, and waits for the
/// next. Polls are let in up to here only, so a measure that began later would never be put right while they press.
const MEASURED_MIN: usize = BUSY_MIN - 1;
/// Replies come in bunches, as one read of the socket brings them; over this much time they even out.
const SAMPLE_MIN: Duration = Duration::from_millis(50);
/// A reply that comes within this has not waited for long, even over a network that takes most of it.
const PROMPT: Duration = Duration::from_millis(250);
/// When no reply was prompt for so long, the queue is no bunch that a stumbling network or a pause of Core has made.
const QUEUE_MIN: Duration = Duration::from_millis(500);
/// No bunch is larger: polls leave places of the tunnel to people, and Core has room for about so many polls on one tunnel.
const BUNCH_MAX: usize = 160;
/// A sample counts for a quarter: a change is believed within a few hundred milliseconds.
const SMOOTHING: u64 = 4;

/// How long a request may wait for its turn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// Behind a queue that stays.
    pub(crate) in_queue: Duration,
    /// Behind what may be gone in a moment.
    pub(crate) in_bunch: Duration,
}

impl Patience {
    pub(crate) const ENDLESS: Self = Self { in_queue: Duration::MAX, in_bunch: Duration::MAX };
}

/// Read by every request, written by the one [`Meter`] of the tunnel and by those who were refused.
#[derive(Debug)]
pub(crate) struct Pace {
    since: Instant,
    /// Nanoseconds between two replies while others wait for their turn; 0: not known yet.
    gap: AtomicU64,
    /// Nanoseconds after `since`; 0: none yet.
    last_reply: AtomicU64,
    /// Nanoseconds after `since`, from when on no reply has been prompt; 0: the last one was, or did not wait.
    queued: AtomicU64,
    /// Replies in the present sample that only said that Core is busy.
    refusals: AtomicU32,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        let (gap, last_reply, queued) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        Self { since: now, gap, last_reply, queued, refusals: AtomicU32::new(0) }
    }

    /// How long one more request would wait behind so many.
    fn wait_behind(&self, in_flight: usize) -> Duration {
        if in_flight < BUSY_MIN {
            return Duration::ZERO;
        }
        Duration::from_nanos(self.gap.load(Ordering::Relaxed).saturating_mul(in_flight as u64))
    }

    /// Whether one more request behind so many gets its turn in time.
    pub(super) fn has_time(&self, patience: Patience, in_flight: usize, now: Instant) -> bool {
        let wait = self.wait_behind(in_flight);
        let is_bunch = || in_flight < BUNCH_MAX && !self.has_queue(now);
        wait <= patience.in_queue || (wait <= patience.in_bunch && is_bunch())
    }

    /// Whoever comes now waits behind a queue that stays.
    fn has_queue(&self, now: Instant) -> bool {
        let queued = self.queued.load(Ordering::Relaxed);
        queued != 0 && now.saturating_duration_since(self.since + Duration::from_nanos(queued)) >= QUEUE_MIN
    }

    fn note_wait(&self, is_short: bool, now: Instant) {
        if is_short {
            self.queued.store(0, Ordering::Relaxed);
        } else if self.queued.load(Ordering::Relaxed) == 0 {
            self.queued.store(nanos(now.saturating_duration_since(self.since)).max(1), Ordering::Relaxed);
        }
    }

    /// Core has replied to any request since then.
    pub(super) fn has_replied_since(&self, then: Instant) -> bool {
        let last = self.last_reply.load(Ordering::Relaxed);
        last != 0 && self.since + Duration::from_nanos(last) >= then
    }

    /// A reply was no work done: Core had no room for the request.
    pub(crate) fn discount(&self) {
        self.refusals.fetch_add(1, Ordering::Relaxed);
    }
}

/// Counts the replies of one tunnel.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    /// The reply before, if Core was busy after it.
    before: Option<Instant>,
    busy: Duration,
    replies: u64,
}

impl Meter {
    /// A reply came to what was sent so long ago (`None`: nobody knows any more), after which so many requests are in flight.
    pub(super) fn count(&mut self, pace: &Pace, now: Instant, (took, in_flight): (Option<Duration>, usize)) {
        pace.note_wait(in_flight < MEASURED_MIN || took.is_some_and(|took| took <= PROMPT), now);
        pace.last_reply.store(nanos(now.saturating_duration_since(pace.since)), Ordering::Relaxed);
        if let Some(before) = self.before {
            self.busy += now.saturating_duration_since(before);
            self.replies += 1;
        }
        self.before = (in_flight >= MEASURED_MIN).then_some(now);
        if self.busy >= SAMPLE_MIN {
            self.take_sample(pace);
        }
    }

    fn take_sample(&mut self, pace: &Pace) {
        let refusals = u64::from(pace.refusals.swap(0, Ordering::Relaxed));
        self.replies = self.replies.saturating_sub(refusals);
        if self.replies == 0 {
            return;
        }
        let sample = nanos(self.busy) / self.replies;
        let smoothed = match pace.gap.load(Ordering::Relaxed) {
            0 => sample,
            known => known - known / SMOOTHING + sample / SMOOTHING,
        };
        pace.gap.store(smoothed.max(1), Ordering::Relaxed);
        (self.busy, self.replies) = (Duration::ZERO, 0);
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUSY: usize = 100;

    #[test]
    fn one_more_waits_for_all_before_it() {
        let (pace, mut meter) = (Pace::new(Instant::now()), Meter::default());
        reply_every(Duration::from_millis(3), 200, (&pace, &mut meter));
        assert_near(pace.wait_behind(BUSY), Duration::from_millis(300));
    }

    #[test]
    fn replies_in_bunches_are_as_fast_as_the_same_one_by_one() {
        let (pace, mut meter) = (Pace::new(Instant::now()), Meter::default());
        let mut now = pace.since;
        for bunch in 0..50 {
            now = pace.since + Duration::from_millis(30) * bunch;
            (0..10).for_each(|_| meter.count(&pace, now, (None, BUSY)));
        }
        assert_near(pace.wait_behind(BUSY), Duration::from_millis(300));
        assert!(pace.has_replied_since(now) && !pace.has_replied_since(now + Duration::from_nanos(1)));
    }

    #[test]
    fn with_little_in_flight_nobody_waits_however_slow_a_reply_is() {
        let (pace, mut meter) = (Pace::new(Instant::now()), Meter::default());
        reply_every(Duration::from_secs(3), 20, (&pace, &mut meter));
        assert_eq!(pace.wait_behind(BUSY_MIN - 1), Duration::ZERO);
    }

    #[test]
    fn time_in_which_nothing_waits_does_not_count() {
        let (pace, mut meter) = (Pace::new(Instant::now()), Meter::default());
        let mut now = pace.since;
        for _ in 0..100 {
            now += Duration::from_secs(1);
            meter.count(&pace, now, (None, BUSY_MIN));
            now += Duration::from_millis(2);
            meter.count(&pace, now, (None, MEASURED_MIN - 1));
        }
        assert_near(pace.wait_behind(BUSY), Duration::from_millis(200));
    }

    #[test]
    fn a_core_that_was_slow_is_trusted_again_while_polls_take_every_free_place() {
        let (pace, mut meter) = (Pace::new(Instant::now()), Meter::default());
        reply_every(Duration::from_millis(100), 20, (&pace, &mut meter));
        let slow = pace.since + Duration::from_secs(2);
        for reply in 1..=200 {
            meter.count(&pace, slow + Duration::from_millis(5) * reply, (None, BUSY_MIN - 1));
        }
        assert_near(pace.wait_behind(BUSY), Duration::from_millis(500));
    }

    #[test]
    fn a_burst_after_some_slow_replies_does_not_wait() {
        let (pace, mut meter) = (Pace::new(Instant::now()), Meter::default());
        for reply in 1..=20 {
            meter.count(&pace, pace.since + Duration::from_secs(3) * reply, (None, 20));
        }
        assert_eq!(pace.wait_behind(BUSY), Duration::ZERO);
    }

    #[test]
    fn a_queue_is_one_that_no_reply_passes_by_soon() {
        let (pace, mut meter) = (Pace::new(Instant::now()), Meter::default());
        let at = |milliseconds| pace.since + Duration::from_millis(milliseconds);
        let mut reply = |now, took| meter.count(&pace, now, (Some(took), BUSY));
        (0..40).for_each(|nth| reply(at(10 * nth), PROMPT * 2));
        assert!(!pace.has_queue(at(400)), "a pause of Core is no queue yet");
        (40..60).for_each(|nth| reply(at(10 * nth), PROMPT * 2));
        assert!(pace.has_queue(at(600)));
        reply(at(600), PROMPT);
        assert!(!pace.has_queue(at(2_000)), "silence after a prompt reply tells of no queue");
        reply(at(2_000), PROMPT * 2);
        assert!(!pace.has_queue(at(2_400)) && pace.has_queue(at(2_500)));
        meter.count(&pace, at(2_500), (None, MEASURED_MIN - 1));
        assert!(!pace.has_queue(at(9_000)), "nobody waits");
    }

    #[test]
    fn a_bunch_that_is_too_large_is_a_queue() {
        let (pace, mut meter) = (Pace::new(Instant::now()), Meter::default());
        reply_every(Duration::from_millis(5), 200, (&pace, &mut meter));
        meter.count(&pace, pace.since, (Some(PROMPT), BUSY));
        let patience = Patience { in_queue: Duration::from_millis(300), in_bunch: Duration::from_secs(1) };
        let has_time = |in_flight| pace.has_time(patience, in_flight, pace.since);
        assert!(has_time(BUNCH_MAX - 1) && !has_time(BUNCH_MAX));
    }

    #[test]
    fn refusals_are_no_work_done() {
        let (pace, mut meter) = (Pace::new(Instant::now()), Meter::default());
        for reply in 0..1_000_u32 {
            meter.count(&pace, pace.since + Duration::from_millis(1) * reply, (None, BUSY));
            if reply % 10 != 0 {
                pace.discount();
            }
        }
        assert_near(pace.wait_behind(BUSY), Duration::from_secs(1));
    }

    fn reply_every(gap: Duration, times: u32, (pace, meter): (&Pace, &mut Meter)) {
        (1..=times).for_each(|nth| meter.count(pace, pace.since + gap * nth, (None, BUSY)));
    }

    fn assert_near(found: Duration, expected: Duration) {
        assert!(found.abs_diff(expected) < expected / 10, "{found:?} is not about {expected:?}");
    }
}
