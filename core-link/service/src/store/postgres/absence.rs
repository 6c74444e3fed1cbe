//! Whether the server is known to be away, so that nobody waits for what cannot come.
//!
//! While it is, one at a time tries to connect, a few times in a second; everybody else is told at once why not.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// After an attempt that failed. A server that comes back is noticed within this.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Default)]
pub(super) struct Absence {
    /// `None`: as far as one knows it is there.
    known: Mutex<Option<Known>>,
}

struct Known {
    reason: Arc<sqlx::Error>,
    next_attempt: Instant,
    is_attempted: bool,
}

/// Leave to connect. One that is dropped without an outcome makes way for the next.
pub(super) struct Attempt<'a> {
    absence: &'a Absence,
}

impl Absence {
    /// The reason why not, when somebody has found out a moment ago, or is about to.
    pub(super) fn attempt(&self) -> Result<Attempt<'_>, Arc<sqlx::Error>> {
        if let Some(known) = &mut *self.known() {
            if known.is_attempted || Instant::now() < known.next_attempt {
                return Err(Arc::clone(&known.reason));
            }
            known.is_attempted = true;
        }
        Ok(Attempt { absence: self })
    }

    fn known(&self) -> MutexGuard<'_, Option<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt<'_> {
    pub(super) fn succeeded(self) {
        *self.absence.known() = None;
    }

    pub(super) fn failed(self, reason: Arc<sqlx::Error>) {
        let known = Known { reason, next_attempt: Instant::now() + PAUSE, is_attempted: false };
        *self.absence.known() = Some(known);
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if let Some(known) = &mut *self.absence.known() {
            known.is_attempted = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason() -> Arc<sqlx::Error> {
        Arc::new(sqlx::Error::PoolTimedOut)
    }

    #[test]
    fn while_the_server_is_away_one_tries_and_the_others_are_told_at_once() {
        let absence = Absence::default();
        let (first, second) = (absence.attempt(), absence.attempt());
        assert!(first.is_ok() && second.is_ok(), "nobody waits for a server that is there");
        first.ok().into_iter().chain(second.ok()).for_each(|attempt| attempt.failed(reason()));
        assert!(absence.attempt().is_err(), "the next attempt came at once");

        absence.known().iter_mut().for_each(|known| known.next_attempt = Instant::now());
        let again = absence.attempt();
        assert!(again.is_ok() && absence.attempt().is_err(), "two tried at the same time");
        drop(again);
        let again = absence.attempt();
        assert!(again.is_ok(), "one who left kept everybody else out");
        again.ok().into_iter().for_each(Attempt::succeeded);
        assert!(absence.attempt().is_ok() && absence.attempt().is_ok());
    }
}
