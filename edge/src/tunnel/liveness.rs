//! Whether the other end of a tunnel is still there, judged by silence and by probes without an answer.
//!
//! A tunnel may be dead in one direction only, so what is heard does not show that we are heard: only an answer does. A
//! slow reply is no evidence. Only a peer that answers probes can be judged: a stock Core may be silent for days. Takes
//! the time as an argument and does no I/O.

use std::{collections::VecDeque, time::Duration};

use postern_proto::limits::{PROBE_INTERVAL, PROBE_MISSED, PROBES_MISSED_MAX, SILENCE_AVOIDED, SILENCE_CLOSED};
use tokio::time::Instant;

/// How often to look: what is due is this much late at most.
pub(super) const CHECK_INTERVAL: Duration = Duration::from_millis(250);
/// A look that comes a little early or late is still the one that was due.
const SLACK: Duration = Duration::from_millis(125);

/// What to think of the other end now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// There, as far as one can tell; `probe` is the sequence number of a question to ask now.
    Present { silent: bool, probe: Option<u64> },
    /// Asked in vain for too long.
    Lost,
}

/// What one end knows of the other.
#[derive(Debug)]
pub(super) struct Liveness {
    heard: Instant,
    asked: Instant,
    checked: Instant,
    /// Of the last probe.
    sequence: u64,
    /// When the latest probes left, all of them without an answer; oldest first. The tunnel ends before there are many.
    unanswered: VecDeque<Instant>,
}

impl Liveness {
    pub(super) fn new(now: Instant) -> Self {
        Self { heard: now, asked: now, checked: now, sequence: 0, unanswered: VecDeque::new() }
    }

    /// Any message counts.
    pub(super) fn hear(&mut self, now: Instant) {
        self.heard = now;
    }

    /// The other end has seen this probe, and so all before it.
    pub(super) fn probe_answered(&mut self, sequence: u64) {
        let later = self.sequence.saturating_sub(sequence);
        while self.unanswered.len() as u64 > later {
            self.unanswered.pop_front();
        }
    }

    /// A reply to what was sent at that time: the other end has seen everything that left before.
    pub(super) fn seen_until(&mut self, sent: Instant) {
        while self.unanswered.pop_front_if(|probe| *probe < sent).is_some() {}
    }

    pub(super) fn check(&mut self, now: Instant) -> Verdict {
        self.leave_out_own_absence(now);
        let silence = now.saturating_duration_since(self.heard);
        let unheard = self.unanswered.front().map_or(Duration::ZERO, |probe| now.saturating_duration_since(*probe));
        if silence >= SILENCE_CLOSED || unheard >= PROBE_INTERVAL * PROBES_MISSED_MAX {
            return Verdict::Lost;
        }
        let silent = silence >= SILENCE_AVOIDED || unheard >= PROBE_MISSED;
        Verdict::Present { silent, probe: self.next_probe(now) }
    }

    /// Whoever could not look could not hear either: that time says nothing of the other end.
    fn leave_out_own_absence(&mut self, now: Instant) {
        let absence = now.saturating_duration_since(self.checked).saturating_sub(CHECK_INTERVAL + SLACK);
        self.checked = now;
        if !absence.is_zero() {
            for at in [&mut self.heard, &mut self.asked].into_iter().chain(&mut self.unanswered) {
                *at = now.min(*at + absence);
            }
        }
    }

    /// Also amid traffic, which may be one-way.
    fn next_probe(&mut self, now: Instant) -> Option<u64> {
        if now.saturating_duration_since(self.asked) + SLACK < PROBE_INTERVAL {
            return None;
        }
        self.asked = now;
        self.sequence += 1;
        self.unanswered.push_back(now);
        Some(self.sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One tunnel in a time of its own, which passes in steps of a look.
    struct Watch {
        begun: Instant,
        now: Instant,
        liveness: Liveness,
    }

    impl Watch {
        fn new() -> Self {
            let now = Instant::now();
            Self { begun: now, now, liveness: Liveness::new(now) }
        }

        /// Looks on until it is so, with what else happens before each look; returns how long that took in all.
        fn until(&mut self, is_so: impl Fn(Verdict) -> bool, mut before: impl FnMut(&mut Liveness, Instant)) -> f64 {
            for _ in 0..1_000 {
                self.now += CHECK_INTERVAL;
                before(&mut self.liveness, self.now);
                if is_so(self.liveness.check(self.now)) {
                    return (self.now - self.begun).as_secs_f64();
                }
            }
            f64::INFINITY
        }
    }

    fn is_silent(verdict: Verdict) -> bool {
        matches!(verdict, Verdict::Present { silent: true, .. })
    }

    fn is_lost(verdict: Verdict) -> bool {
        verdict == Verdict::Lost
    }

    fn probes(verdict: Verdict) -> bool {
        matches!(verdict, Verdict::Present { probe: Some(_), .. })
    }

    fn nothing(_: &mut Liveness, _: Instant) {}

    fn hear(liveness: &mut Liveness, now: Instant) {
        liveness.hear(now);
    }

    fn hear_and_answer(liveness: &mut Liveness, now: Instant) {
        liveness.hear(now);
        liveness.probe_answered(liveness.sequence);
    }

    #[test]
    fn a_tunnel_is_probed_each_second_whatever_is_heard() {
        let mut idle = Watch::new();
        assert_eq!([idle.until(probes, nothing), idle.until(probes, nothing)], [1.0, 2.0]);
        let mut busy = Watch::new();
        let times = [busy.until(probes, hear), busy.until(probes, hear), busy.until(probes, hear)];
        assert_eq!(times, [1.0, 2.0, 3.0]);
    }

    #[test]
    fn after_silence_it_is_avoided_and_at_six_seconds_lost() {
        let mut watch = Watch::new();
        assert_eq!((watch.until(is_silent, nothing), watch.until(is_lost, nothing)), (2.0, 6.0));
    }

    /// Core hears nothing of us, and says so by probing.
    #[test]
    fn a_tunnel_that_is_dead_in_our_direction_only_is_avoided_within_three_seconds_and_lost_at_six() {
        let mut watch = Watch::new();
        assert_eq!((watch.until(is_silent, hear), watch.until(is_lost, hear)), (2.5, 6.0));
        // However long after the last answer the next probe is due.
        for well in 4..8 {
            let mut watch = Watch::new();
            let mut looks = 0;
            let cut = f64::from(well) * CHECK_INTERVAL.as_secs_f64();
            let mut before = |liveness: &mut Liveness, now: Instant| {
                looks += 1;
                if looks <= well { hear_and_answer(liveness, now) } else { hear(liveness, now) }
            };
            let avoided = watch.until(is_silent, &mut before) - cut;
            let lost = watch.until(is_lost, &mut before) - cut;
            assert!(avoided <= 2.75 && lost <= 6.25, "{well}: {avoided} {lost}");
        }
    }

    #[test]
    fn an_answer_ends_it_and_a_tunnel_whose_probes_are_answered_stays() {
        let mut watch = Watch::new();
        watch.until(is_silent, hear);
        assert_eq!(watch.until(|verdict| !is_silent(verdict), hear_and_answer), 2.75);
        assert_eq!(watch.until(|verdict| is_silent(verdict) || is_lost(verdict), hear_and_answer), f64::INFINITY);
    }

    /// A reply under way when the tunnel broke shows nothing of the time after.
    #[test]
    fn a_reply_counts_as_an_answer_to_the_probes_before_its_request_only() {
        let mut watch = Watch::new();
        let begun = watch.now;
        let late = |liveness: &mut Liveness, now: Instant| {
            liveness.hear(now);
            liveness.seen_until(begun + PROBE_INTERVAL / 2);
        };
        assert_eq!(watch.until(is_silent, late), 2.5);
        let mut watch = Watch::new();
        let fresh = |liveness: &mut Liveness, now: Instant| {
            liveness.hear(now);
            liveness.seen_until(now - CHECK_INTERVAL / 2);
        };
        assert_eq!(watch.until(is_silent, fresh), f64::INFINITY);
    }

    #[test]
    fn an_edge_that_stood_still_itself_does_not_take_that_for_silence() {
        let mut watch = Watch::new();
        watch.until(probes, hear_and_answer);
        watch.now += Duration::from_secs(3_600);
        let before = (watch.now - watch.begun).as_secs_f64();
        let avoided = watch.until(is_silent, nothing) - before;
        let lost = watch.until(is_lost, nothing) - before;
        assert!((1.0..=2.75).contains(&avoided) && (4.5..=6.25).contains(&lost), "{avoided} {lost}");
    }
}
