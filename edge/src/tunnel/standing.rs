//! What an Edge thinks of one Core after failures: who fails fast must not attract traffic.
//!
//! It belongs to the Core, not to a tunnel, so that a new tunnel of the same Core does not wipe it out. Only a
//! preference: a penalised Core is used when no other is left.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::CoreSource;

/// A single failure sends the next few requests elsewhere, and no more.
const PENALTY_MIN: Duration = Duration::from_millis(250);
/// A Core that has recovered is found within this.
const PENALTY_MAX: Duration = Duration::from_secs(5);
/// After that much without a tunnel it is as good as new.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(10);
/// Cores that are remembered without a tunnel; there are a handful in all.
const ABSENT_MAX: usize = 64;

#[derive(Debug)]
pub(crate) struct Standing {
    since: Instant,
    /// Milliseconds after `since`; 0: not penalised, and the clock need not be read.
    penalised_until: AtomicU64,
    /// The length of the last penalty; zero after a success.
    penalty: Mutex<Duration>,
}

impl Standing {
    fn new(now: Instant) -> Self {
        Self { since: now, penalised_until: AtomicU64::new(0), penalty: Mutex::default() }
    }

    pub(super) fn is_penalised(&self) -> bool {
        let until = self.penalised_until.load(Ordering::Relaxed);
        until != 0 && self.millis(Instant::now()) < until
    }

    /// Returns how long the Core is avoided. `None` while it already is: what fails in one moment is one failure.
    pub(crate) fn fail(&self) -> Option<Duration> {
        let mut penalty = self.penalty.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_penalised() {
            return None;
        }
        *penalty = (*penalty * 2).clamp(PENALTY_MIN, PENALTY_MAX);
        let until = self.millis(Instant::now() + *penalty);
        self.penalised_until.store(until, Ordering::Relaxed);
        Some(*penalty)
    }

    /// Ends the penalty.
    pub(crate) fn succeed(&self) {
        if self.penalised_until.load(Ordering::Relaxed) == 0 {
            return;
        }
        *self.penalty.lock().unwrap_or_else(PoisonError::into_inner) = Duration::ZERO;
        self.penalised_until.store(0, Ordering::Relaxed);
    }

    fn millis(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.since).as_millis()).unwrap_or(u64::MAX)
    }

    fn is_forgotten(&self, now: Instant) -> bool {
        let until = Duration::from_millis(self.penalised_until.load(Ordering::Relaxed));
        now.saturating_duration_since(self.since) >= until + FORGOTTEN_AFTER
    }
}

/// Every Core that has a tunnel, or had one of late.
#[derive(Debug, Default)]
pub(super) struct Standings(HashMap<CoreSource, Arc<Standing>>);

impl Standings {
    /// The same for each tunnel of one Core.
    pub(super) fn of(&mut self, source: &CoreSource) -> Arc<Standing> {
        let now = Instant::now();
        let absent = self.0.values().filter(|standing| Arc::strong_count(standing) == 1).count();
        self.0.retain(|_, standing| {
            Arc::strong_count(standing) > 1 || (absent <= ABSENT_MAX && !standing.is_forgotten(now))
        });
        Arc::clone(self.0.entry(source.clone()).or_insert_with(|| Arc::new(Standing::new(now))))
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    #[tokio::test(start_paused = true)]
    async fn a_penalty_doubles_up_to_five_seconds() {
        let standing = Standing::new(Instant::now());
        for milliseconds in [250, 500, 1_000, 2_000, 4_000, 5_000, 5_000] {
            let penalty = Duration::from_millis(milliseconds);
            assert_eq!(standing.fail(), Some(penalty));
            advance(penalty - MILLISECOND).await;
            assert!(standing.is_penalised());
            advance(MILLISECOND).await;
            assert!(!standing.is_penalised());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_fails_in_one_moment_counts_once() {
        let standing = Standing::new(Instant::now());
        assert_eq!(standing.fail(), Some(PENALTY_MIN));
        assert_eq!(standing.fail(), None);
        advance(PENALTY_MIN).await;
        assert_eq!(standing.fail(), Some(PENALTY_MIN * 2));
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_success_ends_it() {
        let standing = Standing::new(Instant::now());
        standing.fail();
        advance(PENALTY_MIN).await;
        standing.fail();
        standing.succeed();
        assert!(!standing.is_penalised());
        assert_eq!(standing.fail(), Some(PENALTY_MIN));
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_tunnel_of_the_same_core_keeps_it_and_another_core_has_its_own() {
        let mut standings = Standings::default();
        let bad = CoreSource::Instance("bad".into());
        standings.of(&bad).fail();
        advance(PENALTY_MIN).await;
        assert_eq!(standings.of(&bad).fail(), Some(PENALTY_MIN * 2));
        assert!(!standings.of(&CoreSource::Stock).is_penalised());
    }

    #[tokio::test(start_paused = true)]
    async fn a_core_that_stays_away_is_forgotten() {
        let mut standings = Standings::default();
        let present = standings.of(&CoreSource::Stock);
        for instance in 0..1_000 {
            standings.of(&CoreSource::Instance(instance.to_string().into()));
        }
        assert!(standings.0.len() <= ABSENT_MAX + 2, "{}", standings.0.len());
        advance(FORGOTTEN_AFTER).await;
        standings.of(&CoreSource::Stock);
        assert_eq!(standings.0.len(), 1);
        drop(present);
    }
}
