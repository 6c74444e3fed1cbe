//! Whether the other end of a tunnel is still there, judged by silence alone.
//!
//! Only a peer that answers probes can be judged: a stock Core may be silent for days. A slow reply
//! is no evidence. Takes the time as an argument and does no I/O.

use std::time::Duration;

use postern_proto::limits::{PROBE_INTERVAL, SILENCE_AVOIDED, SILENCE_CLOSED};
use tokio::time::Instant;

/// How often to look: a probe is this much late at most.
pub(super) const CHECK_INTERVAL: Duration = Duration::from_millis(250);

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
    sequence: u64,
}

impl Liveness {
    pub(super) fn new(now: Instant) -> Self {
        Self { heard: now, asked: now, sequence: 0 }
    }

    /// Any message counts.
    pub(super) fn hear(&mut self, now: Instant) {
        self.heard = now;
    }

    pub(super) fn check(&mut self, now: Instant) -> Verdict {
        let silence = now.saturating_duration_since(self.heard);
        if silence >= SILENCE_CLOSED {
            return Verdict::Lost;
        }
        Verdict::Present { silent: silence >= SILENCE_AVOIDED, probe: self.next_probe(now) }
    }

    fn next_probe(&mut self, now: Instant) -> Option<u64> {
        if now.saturating_duration_since(self.asked.max(self.heard)) < PROBE_INTERVAL {
            return None;
        }
        self.asked = now;
        self.sequence += 1;
        Some(self.sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    fn present(silent: bool, probe: Option<u64>) -> Verdict {
        Verdict::Present { silent, probe }
    }

    #[test]
    fn an_idle_tunnel_is_probed_each_second() {
        let start = Instant::now();
        let mut liveness = Liveness::new(start);
        assert_eq!(liveness.check(start + seconds(0.9)), present(false, None));
        assert_eq!(liveness.check(start + seconds(1.0)), present(false, Some(1)));
        assert_eq!(liveness.check(start + seconds(1.5)), present(false, None));
        assert_eq!(liveness.check(start + seconds(2.0)), present(true, Some(2)));
        assert_eq!(liveness.check(start + seconds(2.5)), present(true, None));
    }

    #[test]
    fn any_message_ends_the_silence() {
        let start = Instant::now();
        let mut liveness = Liveness::new(start);
        liveness.hear(start + seconds(5.9));
        assert_eq!(liveness.check(start + seconds(6.0)), present(false, None));
        assert_eq!(liveness.check(start + seconds(6.9)), present(false, Some(1)));
    }

    #[test]
    fn after_six_seconds_of_silence_it_is_lost() {
        let start = Instant::now();
        let mut liveness = Liveness::new(start);
        assert_eq!(liveness.check(start + seconds(5.9)), present(true, Some(1)));
        assert_eq!(liveness.check(start + seconds(6.0)), Verdict::Lost);
    }
}
