//! How fast replies come over one tunnel, and so how long one more request would wait.
//!
//! Measured only while requests wait for their turn: an idle Core is not a slow one, nor is one that works on a few slow requests.
//! Over a network that is far or stumbles requests pile up as well; only where no reply comes soon, a queue stays. Who is told
//! that Core has no room for polls lets fewer in. Nothing here is a verdict on a Core's health.

#[cfg(test)]
mod tests;

use std::{
    sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};

use tokio::time::Instant;

/// So many requests a Core works on at the same time: with fewer in flight none of them waits for its turn.
const BUSY_MIN: usize = 32;
/// With so many in flight after a reply, the place that became free is the only one: what comes takes it, and waits for the
/// next. Polls are let in up to here only, so a measure that began later would never be put right while they press.
const MEASURED_MIN: usize = BUSY_MIN - 1;
/// Replies come in bunches: one read of the socket brings them, or a Core works in bursts. Over this much time they even out.
const SAMPLE_MIN: Duration = Duration::from_millis(50);
/// What comes so soon after another reply is the work of the same time, although places became free in between.
const BUNCH: Duration = Duration::from_millis(10);
/// A reply that comes within this has not waited for long, even over a network that takes most of it.
const PROMPT: Duration = Duration::from_millis(250);
/// When no reply was prompt for so long, the queue is no bunch that a stumbling network or a pause of Core has made.
const QUEUE_MIN: Duration = Duration::from_millis(500);
/// No bunch is larger: polls leave places of the tunnel to people, and Core has room for about so many polls on one tunnel.
const BUNCH_MAX: usize = 160;
/// Polls that Core refuses may have waited there for so long: those sent before tell nothing new.
const REFUSED_AFTER: Duration = Duration::from_secs(1);
/// After Core has refused some, one more is let in again each time.
const REGAINED_EVERY: Duration = Duration::from_millis(500);
/// So much of what was known counts beside a new sample: a change is believed within a few hundred milliseconds.
const REMEMBERED: f64 = 0.75;

/// How long a request may wait for its turn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// Behind a queue that stays.
    pub(crate) in_queue: Duration,
    /// Behind what may be gone in a moment.
    pub(crate) in_bunch: Duration,
    /// Of polls, where Core serves others first.
    pub(crate) is_behind_polls: bool,
}

impl Patience {
    pub(crate) const ENDLESS: Self = Self { in_queue: Duration::MAX, in_bunch: Duration::MAX, is_behind_polls: false };
}

/// Read by every request; written by the one [`Meter`] of the tunnel, by who was refused, and by who takes the last place.
#[derive(Debug)]
pub(crate) struct Pace {
    since: Instant,
    /// Nanoseconds between two replies while others wait for their turn; 0: not known yet.
    gap: AtomicU64,
    /// Nanoseconds after `since`, from when on requests have waited for their turn; 0: none does.
    full: AtomicU64,
    /// Nanoseconds after `since`; 0: none yet.
    last_reply: AtomicU64,
    /// Nanoseconds after `since`, from when on no reply has been prompt; 0: the last one was, or did not wait.
    queued: AtomicU64,
    /// Replies in the present sample that only said that Core is busy.
    refusals: AtomicU32,
    /// For how many polls there was room when Core refused some.
    room: AtomicUsize,
    /// When that was, in nanoseconds after `since`; 0: never.
    refused: AtomicU64,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        let [gap, full, last_reply, queued, refused] = std::array::from_fn(|_| AtomicU64::new(0));
        let (refusals, room) = (AtomicU32::new(0), AtomicUsize::new(BUSY_MIN));
        Self { since: now, gap, full, last_reply, queued, refusals, room, refused }
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

    /// Whether Core has room for one more poll beside so many. Where it has refused some of late, not even as many as it works
    /// on at the same time are let in: many Edges fill it together.
    pub(super) fn has_room(&self, polls: usize, now: Instant) -> bool {
        let room = self.room(now);
        room >= BUSY_MIN || polls < room
    }

    fn room(&self, now: Instant) -> usize {
        let Some(refused) = self.since(&self.refused, now) else { return BUSY_MIN };
        let regained = refused.as_millis() / REGAINED_EVERY.as_millis();
        self.room.load(Ordering::Relaxed).saturating_add(regained as usize).min(BUSY_MIN)
    }

    /// Whoever comes now waits behind a queue that stays.
    fn has_queue(&self, now: Instant) -> bool {
        self.since(&self.queued, now).is_some_and(|queued| queued >= QUEUE_MIN)
    }

    /// How long ago; `None`: never.
    fn since(&self, moment: &AtomicU64, now: Instant) -> Option<Duration> {
        let nanos = moment.load(Ordering::Relaxed);
        (nanos != 0).then(|| now.saturating_duration_since(self.since + Duration::from_nanos(nanos)))
    }

    fn note_wait(&self, is_short: bool, now: Instant) {
        if is_short {
            self.queued.store(0, Ordering::Relaxed);
        } else if self.queued.load(Ordering::Relaxed) == 0 {
            self.queued.store(nanos(now.saturating_duration_since(self.since)).max(1), Ordering::Relaxed);
        }
    }

    /// A request was sent, after which so many are in flight.
    pub(super) fn note_sent(&self, in_flight: usize, now: Instant) {
        if in_flight >= BUSY_MIN && self.full_since().is_none() {
            self.note_full(now);
        }
    }

    /// A caller has left without a reply, after which so many are in flight.
    pub(super) fn note_left(&self, in_flight: usize) {
        if in_flight < MEASURED_MIN {
            self.full.store(0, Ordering::Relaxed);
        }
    }

    fn note_full(&self, now: Instant) {
        self.full.store(nanos(now.saturating_duration_since(self.since)).max(1), Ordering::Relaxed);
    }

    fn full_since(&self) -> Option<Instant> {
        let full = self.full.load(Ordering::Relaxed);
        (full != 0).then(|| self.since + Duration::from_nanos(full))
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

    /// Core had no room for a poll: half as many are let in, which is found out once while those before are refused.
    pub(crate) fn narrow(&self, now: Instant) {
        let before = self.refused.load(Ordering::Relaxed);
        if self.since(&self.refused, now).is_some_and(|refused| refused < REFUSED_AFTER) {
            return;
        }
        let half = (self.room(now) / 2).max(1);
        let refused = nanos(now.saturating_duration_since(self.since)).max(1);
        // Of several who hear of it at once, one.
        if self.refused.compare_exchange(before, refused, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.room.store(half, Ordering::Relaxed);
        }
    }
}

/// Counts the replies of one tunnel.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    /// The last reply before which requests waited.
    before: Option<Instant>,
    /// When the present sample became long enough; it ends with the bunch of replies that comes then.
    ripe: Option<Instant>,
    busy: Duration,
    replies: u64,
    /// Seconds and replies of all samples, the older the less: together, for one of a pause has few replies.
    known: (f64, f64),
}

impl Meter {
    /// A reply came, to a poll that was sent so long ago (`None`: to what may overtake polls, or nobody waits for), after
    /// which so many requests are in flight.
    pub(super) fn count(&mut self, pace: &Pace, now: Instant, (took, in_flight): (Option<Duration>, usize)) {
        match took {
            _ if in_flight < MEASURED_MIN => pace.note_wait(true, now),
            Some(took) => pace.note_wait(took <= PROMPT, now),
            None => {}
        }
        pace.last_reply.store(nanos(now.saturating_duration_since(pace.since)), Ordering::Relaxed);
        // With fewer, whoever waited has left.
        if let Some(full) = pace.full_since().filter(|_| in_flight + 1 >= MEASURED_MIN) {
            if self.ripe.is_some_and(|ripe| now.saturating_duration_since(ripe) > BUNCH) {
                self.take_sample(pace);
            }
            if self.replies == 0 {
                // Those before belong to no sample.
                pace.refusals.store(0, Ordering::Relaxed);
            }
            let begun = self.before.map_or(full, |before| before.max(full));
            self.busy += now.saturating_duration_since(begun);
            self.replies += 1;
            self.before = Some(now);
            if self.ripe.is_none() && self.busy >= SAMPLE_MIN {
                self.ripe = Some(now);
            }
        } else if self.before.is_some_and(|before| now.saturating_duration_since(before) <= BUNCH) {
            self.replies += 1;
        }
        pace.note_left(in_flight);
        if in_flight >= MEASURED_MIN && pace.full_since().is_none() {
            pace.note_full(now);
        }
    }

    fn take_sample(&mut self, pace: &Pace) {
        let refusals = u64::from(pace.refusals.swap(0, Ordering::Relaxed));
        self.replies = self.replies.saturating_sub(refusals);
        if self.replies == 0 {
            return;
        }
        let (busy, replies) = self.known;
        self.known = (busy * REMEMBERED + self.busy.as_secs_f64(), replies * REMEMBERED + self.replies as f64);
        let gap = Duration::from_secs_f64(self.known.0 / self.known.1);
        pace.gap.store(nanos(gap).max(1), Ordering::Relaxed);
        (self.ripe, self.busy, self.replies) = (None, Duration::ZERO, 0);
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
