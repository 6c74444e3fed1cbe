//! How often somebody may guess: codes of an app, at logins and at the set-up, and recovery codes share the counters.
//!
//! An attempt is counted before the secret is looked at. One that comes too early is not looked at, and so not counted.

use std::time::Duration;

use super::Network;
use crate::{
    clock::{CLOCKS_APART, Timestamp},
    person::PersonId,
    store::{StoreError, Tx},
};

/// Failures in a row on one side: from all familiar networks together, or from elsewhere. Then only an administrator
/// helps, or a recovery code.
pub const SIDE_MAX: u32 = 50;
/// Of these at most so many from one network.
pub const NETWORK_MAX: u32 = 10;
const FREE: u32 = 5;
const DELAY_MIN: Duration = Duration::from_secs(30);
pub(crate) const DELAY_MAX: Duration = Duration::from_hours(1);
/// Told to a program whose person is locked, so that it does not hammer.
const LOCKED_RETRY_SECONDS: u32 = 3600;

/// Where a guess comes from: each person has a counter of failures in a row for each network where they are familiar,
/// and one for everywhere else.
///
/// To begin a login takes no more than a device's public key, so with a single counter any stranger could keep its
/// owner out for ever; this way a stranger only uses up the counter of elsewhere, and somebody behind one familiar
/// address only that of this network. On each counter five failures are free, then a delay doubles from half a minute
/// to an hour; the bounds add up to a hundred guesses for a person in all (NIST SP 800-63B), of a million codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Familiar(Network),
    Elsewhere,
}

/// One counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    pub failures: u32,
    pub retry_at: Timestamp,
}

/// A person's counters, as they concern one network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standings {
    /// That network's own.
    pub here: Standing,
    /// All familiar networks together.
    pub familiar_failures: u32,
    pub elsewhere: Standing,
}

/// Nobody looks at this guess.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Throttled {
    #[error("too many failed attempts; try again in {seconds} s")]
    Delayed { seconds: u32 },
    #[error("too many failed attempts; ask your administrator to unlock you")]
    Locked,
}

impl Side {
    pub(super) fn network(self) -> Option<Network> {
        match self {
            Self::Familiar(network) => Some(network),
            Self::Elsewhere => None,
        }
    }
}

impl Throttled {
    pub fn retry_after_seconds(self) -> u32 {
        match self {
            Self::Delayed { seconds } => seconds,
            Self::Locked => LOCKED_RETRY_SECONDS,
        }
    }
}

impl Standing {
    fn check(&self, failures_max: u32, now: Timestamp) -> Result<(), Throttled> {
        if self.failures >= failures_max {
            return Err(Throttled::Locked);
        }
        // A longer wait was never given: it comes from a clock that was ahead, and must not keep anybody out.
        if self.retry_at > now.after(DELAY_MAX + CLOCKS_APART) {
            return Ok(());
        }
        match u32::try_from(self.retry_at.as_unix().saturating_sub(now.as_unix())) {
            Ok(0) | Err(_) => Ok(()),
            Ok(seconds) => Err(Throttled::Delayed { seconds }),
        }
    }
}

impl Standings {
    /// Whether a guess from there may be tried now.
    pub fn check(&self, side: Side, now: Timestamp) -> Result<(), Throttled> {
        match side {
            Side::Familiar(_) if self.familiar_failures >= SIDE_MAX => Err(Throttled::Locked),
            Side::Familiar(_) => self.here.check(NETWORK_MAX, now),
            Side::Elsewhere => self.elsewhere.check(SIDE_MAX, now),
        }
    }
}

/// How long nobody may try after so many failures in a row.
fn delay_after(failures: u32) -> Duration {
    let Some(doublings) = failures.checked_sub(FREE) else { return Duration::ZERO };
    let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
    DELAY_MIN.saturating_mul(factor).min(DELAY_MAX)
}

/// Counts an attempt as failed, until it turns out otherwise.
pub(super) async fn count<E>(tx: &mut Tx, person: PersonId, side: Side) -> Result<(), E>
where
    E: From<Throttled> + From<StoreError>,
{
    let now = tx.now();
    let counted = match side {
        Side::Familiar(network) => tx.count_familiar_attempt(person, network, (NETWORK_MAX, SIDE_MAX)).await?,
        Side::Elsewhere => tx.count_attempt_elsewhere(person, SIDE_MAX).await?,
    };
    let Some(failures) = counted else {
        let standings = tx.standings(person, side.network()).await?;
        return Err(standings.check(side, now).err().unwrap_or(Throttled::Locked).into());
    };
    let delay = delay_after(failures);
    if !delay.is_zero() {
        tx.delay_attempts(person, side, now.after(delay)).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_doubles_from_half_a_minute_to_an_hour() {
        let expected = [0, 0, 0, 0, 0, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600];
        for (failures, seconds) in (0..).zip(expected) {
            assert_eq!(delay_after(failures), Duration::from_secs(seconds), "after {failures}");
        }
        assert_eq!(delay_after(u32::MAX), DELAY_MAX);
    }

    #[test]
    fn a_guess_waits_to_the_second_and_for_ever_when_locked() {
        let standing = Standing { failures: 5, retry_at: Timestamp::from_unix(130) };
        let at = |now| standing.check(NETWORK_MAX, Timestamp::from_unix(now));
        assert_eq!(at(100), Err(Throttled::Delayed { seconds: 30 }));
        assert_eq!(at(129), Err(Throttled::Delayed { seconds: 1 }));
        assert_eq!(at(130), Ok(()));
        assert_eq!(at(130 - 3601), Err(Throttled::Delayed { seconds: 3601 }), "by a clock that is a bit ahead");
        assert_eq!(at(130 - 3661), Ok(()), "nobody was ever told to wait so long");
        let locked = Standing { failures: NETWORK_MAX, ..standing };
        assert_eq!(locked.check(NETWORK_MAX, Timestamp::from_unix(i64::MAX)), Err(Throttled::Locked));
    }

    #[test]
    fn all_bounds_together_are_a_hundred() {
        assert_eq!(SIDE_MAX + SIDE_MAX, 100);
        const { assert!(NETWORK_MAX < SIDE_MAX, "one network must not use up what others have") };
    }
}
