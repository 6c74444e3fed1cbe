//! When to dial again. Pure: the clock and the chance are arguments.

use std::time::Duration;

use tokio::time::Instant;

/// After an announced end the Edge is restarting, or is free at once.
const ANNOUNCED_MAX: Duration = Duration::from_millis(100);
/// After an abrupt loss the redials of all links are spread over this much for each link, so that
/// a Core that lost its network does not dial everybody at once, and a Core with a few Edges does
/// not keep a restarted one waiting.
const SPREAD_PER_LINK: Duration = Duration::from_millis(50);
const SPREAD_MIN: Duration = Duration::from_millis(100);
const SPREAD_MAX: Duration = Duration::from_secs(1);
/// An Edge that restarts is dialled this often, so that it is ready soon after it listens.
const SOON: Duration = Duration::from_millis(300);
/// How long it is dialled that often.
const SOON_FOR: Duration = Duration::from_secs(60);
const SOON_GROWTH: f64 = 1.5;
const SOON_MAX: Duration = Duration::from_secs(5);
/// A wrong certificate or version needs a person.
const SLOW: Duration = Duration::from_secs(5);
const SLOW_GROWTH: f64 = 2.0;
const SLOW_MAX: Duration = Duration::from_secs(30);
/// Delays vary by this part, downwards only from the largest.
const JITTER: f64 = 0.15;
/// A tunnel that lasted less is one more failure.
const STAYED_UP: Duration = Duration::from_secs(5);

/// Why there is no tunnel now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The Edge said that it would end the tunnel.
    Announced,
    /// The tunnel ended unannounced.
    Lost,
    /// The tunnel ended, in whichever way, before it had stayed up.
    Fleeting,
    /// No tunnel came up; it may be over in a moment.
    Unreachable,
    /// No tunnel came up, and only a person can change that.
    Refused,
}

/// The memory of one link's failures.
#[derive(Debug)]
pub(crate) struct Backoff {
    failing_since: Instant,
    soon: Duration,
    slow: Duration,
}

impl Backoff {
    pub(crate) fn new(now: Instant) -> Self {
        Self { failing_since: now, soon: SOON, slow: SLOW }
    }

    /// A tunnel that came up at `since` has ended: forgets earlier failures if it stayed up.
    /// Says whether it did.
    pub(crate) fn tunnel_ended(&mut self, since: Instant, now: Instant) -> bool {
        let stayed_up = now.duration_since(since) >= STAYED_UP;
        if stayed_up {
            *self = Self::new(now);
        }
        stayed_up
    }

    /// How long to wait; `links` share the spread, `chance` is from 0 to 1.
    pub(crate) fn delay(&mut self, failure: Failure, links: usize, now: Instant, chance: f64) -> Duration {
        match failure {
            Failure::Announced => ANNOUNCED_MAX.mul_f64(chance),
            Failure::Lost => spread(links).mul_f64(chance),
            // All of them may have ended in one moment, however young they were.
            Failure::Fleeting => self.soon(now, chance) + spread(links).mul_f64(chance),
            Failure::Unreachable => self.soon(now, chance),
            Failure::Refused => {
                let delay = jittered(self.slow, SLOW_MAX, chance).max(SLOW);
                self.slow = self.slow.mul_f64(SLOW_GROWTH).min(SLOW_MAX);
                delay
            }
        }
    }

    fn soon(&mut self, now: Instant, chance: f64) -> Duration {
        if now.duration_since(self.failing_since) >= SOON_FOR {
            self.soon = self.soon.mul_f64(SOON_GROWTH).min(SOON_MAX);
        }
        jittered(self.soon, SOON_MAX, chance)
    }
}

fn spread(links: usize) -> Duration {
    SPREAD_PER_LINK.saturating_mul(u32::try_from(links).unwrap_or(u32::MAX)).clamp(SPREAD_MIN, SPREAD_MAX)
}

fn jittered(delay: Duration, max: Duration, chance: f64) -> Duration {
    delay.mul_f64(1.0 - JITTER + 2.0 * JITTER * chance).min(max)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn the_first_delay_after_each_failure_is_in_its_range() {
        let now = Instant::now();
        for (failure, links, least, most) in [
            (Failure::Announced, 2, MS(0), MS(100)),
            (Failure::Lost, 1, MS(0), MS(100)),
            (Failure::Lost, 4, MS(0), MS(200)),
            (Failure::Lost, 1000, MS(0), MS(1000)),
            (Failure::Fleeting, 2, MS(255), MS(445)),
            (Failure::Fleeting, 1000, MS(255), MS(1345)),
            (Failure::Unreachable, 2, MS(255), MS(345)),
            (Failure::Refused, 2, MS(5000), MS(5750)),
        ] {
            assert_eq!(Backoff::new(now).delay(failure, links, now, 0.0), least, "{failure:?} {links}");
            assert_eq!(Backoff::new(now).delay(failure, links, now, 1.0), most, "{failure:?} {links}");
        }
    }

    #[test]
    fn an_unreachable_edge_is_dialled_every_300_ms_for_a_minute_and_then_more_slowly() {
        let start = Instant::now();
        let mut backoff = Backoff::new(start);
        let mut delay_at = |at: u64| backoff.delay(Failure::Unreachable, 2, start + MS(at), 0.5);

        let first_minute: Vec<_> = (0..59_000).step_by(300).map(&mut delay_at).collect();
        let later: Vec<_> = (60_000..70_000).step_by(1000).map(&mut delay_at).collect();

        assert!(first_minute.iter().all(|delay| *delay == MS(300)), "{first_minute:?}");
        assert_eq!(later[..3], [MS(450), MS(675), Duration::from_micros(1_012_500)]);
        assert_eq!(later[8..], [MS(5000), MS(5000)]);
    }

    #[test]
    fn no_delay_to_an_unreachable_edge_exceeds_five_seconds() {
        let start = Instant::now();
        let mut backoff = Backoff::new(start);
        let mut delay = || backoff.delay(Failure::Unreachable, 2, start + Duration::from_secs(3600), 1.0);
        assert!((0..100).map(|_| delay()).all(|delay| delay <= MS(5000)));
    }

    #[test]
    fn a_wrong_identity_is_tried_again_after_five_to_thirty_seconds() {
        let now = Instant::now();
        let mut backoff = Backoff::new(now);
        let delays: Vec<_> = (0..5).map(|_| backoff.delay(Failure::Refused, 2, now, 0.5).as_secs()).collect();
        assert_eq!(delays, [5, 10, 20, 30, 30]);
    }

    #[test]
    fn only_a_tunnel_that_stayed_up_makes_failures_forgotten() {
        let start = Instant::now();
        let mut backoff = Backoff::new(start);
        let hour = start + Duration::from_secs(3600);
        let slowed = backoff.delay(Failure::Unreachable, 2, hour, 0.5);

        assert!(!backoff.tunnel_ended(hour, hour + MS(4999)));
        assert!(backoff.delay(Failure::Unreachable, 2, hour, 0.5) > slowed);
        assert!(backoff.tunnel_ended(hour, hour + MS(5000)));
        assert_eq!(backoff.delay(Failure::Unreachable, 2, hour + MS(5000), 0.5), MS(300));
    }
}
