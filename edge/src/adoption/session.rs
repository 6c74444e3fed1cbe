//! One Core's attempt to adopt: from its Start until that stream ends or the identity is stored.
//!
//! At most one at a time. Core's token is opaque to an Edge: it only ties the three calls together.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use postern_proto::common::LogEntry;
use rcgen::KeyPair;
use tokio::sync::mpsc;

/// A Start that nothing follows for that long is ended, so that it does not keep others out.
pub(super) const REQUEST_WITHIN: Duration = Duration::from_secs(60);

/// More entries than one attempt makes.
const LOG_CAPACITY: usize = 16;

/// What Core sent as its bearer token.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct SessionToken(String);

impl SessionToken {
    pub(super) fn new(token: &str) -> Self {
        Self(token.to_owned())
    }
}

impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionToken(***)")
    }
}

/// Why a call does not belong to the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum SessionError {
    #[error("Setup already in progress")]
    Busy,
    #[error("Invalid session token")]
    WrongToken,
    #[error("No signing request was made in this session")]
    NoKey,
}

/// The one session, or none. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Sessions {
    slot: Arc<Mutex<Slot>>,
}

#[derive(Debug, Default)]
struct Slot {
    last_number: u64,
    active: Option<Session>,
}

struct Session {
    number: u64,
    token: SessionToken,
    key: Option<KeyPair>,
    requested: Arc<AtomicBool>,
    log: mpsc::Sender<LogEntry>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("number", &self.number).finish_non_exhaustive()
    }
}

/// The Start side of a session: dropping it ends the session.
#[derive(Debug)]
pub(super) struct SessionLease {
    sessions: Sessions,
    number: u64,
    pub(super) log: mpsc::Receiver<LogEntry>,
    requested: Arc<AtomicBool>,
}

impl Sessions {
    pub(super) fn begin(&self, token: SessionToken, first: LogEntry) -> Result<SessionLease, SessionError> {
        let mut slot = self.lock();
        if slot.active.is_some() {
            return Err(SessionError::Busy);
        }
        slot.last_number += 1;
        let number = slot.last_number;
        let (log, entries) = mpsc::channel(LOG_CAPACITY);
        let requested = Arc::new(AtomicBool::new(false));
        slot.active = Some(Session { number, token, key: None, requested: Arc::clone(&requested), log });
        slot.say(first);
        Ok(SessionLease { sessions: self.clone(), number, log: entries, requested })
    }

    /// Checks that a call belongs to the session.
    pub(super) fn check(&self, token: &SessionToken) -> Result<(), SessionError> {
        self.lock().of(token).map(drop)
    }

    /// Keeps the key until its certificate comes. A second request replaces the first.
    pub(super) fn keep_key(&self, token: &SessionToken, key: KeyPair, entry: LogEntry) -> Result<(), SessionError> {
        let mut slot = self.lock();
        let session = slot.of(token)?;
        session.key = Some(key);
        session.requested.store(true, Ordering::Relaxed);
        slot.say(entry);
        Ok(())
    }

    /// Takes the key out: a certificate is tried once.
    pub(super) fn take_key(&self, token: &SessionToken) -> Result<KeyPair, SessionError> {
        self.lock().of(token)?.key.take().ok_or(SessionError::NoKey)
    }

    /// Ends the session with a last word. The Start stream stays open until Core leaves it.
    pub(super) fn end(&self, token: &SessionToken, entry: LogEntry) {
        let mut slot = self.lock();
        if slot.of(token).is_ok() {
            slot.say(entry);
            slot.active = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    fn of(&mut self, token: &SessionToken) -> Result<&mut Session, SessionError> {
        self.active.as_mut().filter(|session| session.token == *token).ok_or(SessionError::WrongToken)
    }

    fn say(&self, entry: LogEntry) {
        if let Some(session) = &self.active
            && session.log.try_send(entry).is_err()
        {
            tracing::debug!("core does not read the log of its adoption");
        }
    }
}

impl SessionLease {
    /// A signing request was made: Core means it.
    pub(super) fn is_used(&self) -> bool {
        self.requested.load(Ordering::Relaxed)
    }
}

impl Drop for SessionLease {
    fn drop(&mut self) {
        let mut slot = self.sessions.lock();
        if slot.active.as_ref().is_some_and(|session| session.number == self.number) {
            slot.active = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::log, *};

    fn token(text: &str) -> SessionToken {
        SessionToken::new(text)
    }

    #[test]
    fn a_second_start_is_refused_while_one_is_active() {
        let sessions = Sessions::default();
        let first = sessions.begin(token("a"), log::info("")).unwrap();
        assert_eq!(sessions.begin(token("a"), log::info("")).unwrap_err(), SessionError::Busy);
        drop(first);
        assert!(sessions.begin(token("b"), log::info("")).is_ok());
    }

    #[test]
    fn a_late_drop_of_an_old_start_leaves_the_new_session_alone() {
        let sessions = Sessions::default();
        let old = sessions.begin(token("a"), log::info("")).unwrap();
        sessions.end(&token("a"), log::info(""));
        let _new = sessions.begin(token("b"), log::info("")).unwrap();
        drop(old);
        assert_eq!(sessions.check(&token("b")), Ok(()));
    }

    #[test]
    fn another_token_reaches_nothing() {
        let sessions = Sessions::default();
        let _lease = sessions.begin(token("a"), log::info("")).unwrap();
        assert_eq!(sessions.check(&token("b")), Err(SessionError::WrongToken));
        assert_eq!(sessions.take_key(&token("b")).unwrap_err(), SessionError::WrongToken);
        assert_eq!(sessions.take_key(&token("a")).unwrap_err(), SessionError::NoKey);
    }

    #[test]
    fn tokens_do_not_print() {
        assert_eq!(format!("{:?}", token("secret")), "SessionToken(***)");
    }
}
