//! Sessions in hand, so that nobody waits for a connection that exists already.
//!
//! A pool of sqlx would ask each one whether it is alive whenever it comes back, which doubles the round trips of a poll, and
//! would try again for a second where a server refuses. Here one that failed is closed, and when the server went, all idle
//! ones with it; and while it is away, nobody waits for it.

use std::{
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures::future::join_all;
use sqlx::{ConnectOptions as _, postgres::PgConnectOptions};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{timeout, timeout_at},
};

use super::{
    absence::Absence,
    session::{Health, Presence, Session},
};
use crate::store::{
    StoreError,
    sql::Connection,
    tx::{Part, Tx},
};

/// For a turn, and for a new connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(1);

pub(super) struct Sessions {
    options: PgConnectOptions,
    absence: Absence,
    presence: Arc<Presence>,
    part: Part,
    turns: Semaphore,
    idle: Mutex<Vec<Tx>>,
}

/// A session in use. Goes back when it is dropped, wherever the job was.
pub(super) struct Lease<'a> {
    sessions: &'a Sessions,
    /// `None` only while it is dropped.
    tx: Option<Tx>,
    _turn: SemaphorePermit<'a>,
}

impl Sessions {
    /// Connects when it is first asked.
    pub(super) fn new(options: PgConnectOptions, count: u32, part: Part, presence: Arc<Presence>) -> Self {
        let turns = Semaphore::new(count as usize);
        let absence = Absence::default();
        Self { options, absence, presence, part, turns, idle: Mutex::default() }
    }

    /// Makes every session that there may be.
    pub(super) async fn connect_all(&self) {
        // Each goes back when all are there.
        drop(join_all((0..self.turns.available_permits()).map(|_| self.lease())).await);
    }

    pub(super) async fn lease(&self) -> Result<Lease<'_>, StoreError> {
        self.lease_by(Instant::now() + ACQUIRE_TIMEOUT).await
    }

    /// Waits for its turn until then; turns come in order.
    pub(super) async fn lease_by(&self, end: Instant) -> Result<Lease<'_>, StoreError> {
        let turn = timeout_at(end.into(), self.turns.acquire()).await.map_err(|_| self.missed_turn())?;
        let turn = turn.map_err(|_| StoreError::Closed)?;
        let idle = self.idle().pop();
        let tx = match idle {
            Some(tx) => tx,
            None => Tx::new(Connection::Postgres(self.connect().await?), self.part.clone()),
        };
        Ok(Lease { sessions: self, tx: Some(tx), _turn: turn })
    }

    /// Why no turn came. Where nobody got an answer in all that time the server has fallen silent, and another Core may still
    /// reach it.
    pub(super) fn missed_turn(&self) -> StoreError {
        if self.presence.last_answer().elapsed() < ACQUIRE_TIMEOUT {
            StoreError::Overloaded
        } else {
            StoreError::Unavailable { source: sqlx::Error::PoolTimedOut.into() }
        }
    }

    pub(super) async fn close(&self) {
        self.turns.close();
        let idle = std::mem::take(&mut *self.idle());
        // Whatever is still in use is closed when it comes back.
        timeout(ACQUIRE_TIMEOUT, join_all(idle.into_iter().map(say_goodbye))).await.ok();
    }

    async fn connect(&self) -> Result<Session, StoreError> {
        let attempt = self.absence.attempt().map_err(|source| StoreError::Unavailable { source })?;
        let connected = timeout(ACQUIRE_TIMEOUT, self.options.connect()).await;
        match connected.unwrap_or(Err(sqlx::Error::PoolTimedOut)) {
            Ok(connection) => {
                attempt.succeeded();
                Ok(Session::new(connection, Arc::clone(&self.presence)))
            }
            // Whatever it is, nothing was begun: a server that is down, full, or wants another password now.
            Err(source) => {
                let source = Arc::new(source);
                // Who has sessions and only waits too long for one more is short of time, and the server is there.
                if !self.presence.has_sessions() || !matches!(*source, sqlx::Error::PoolTimedOut) {
                    attempt.failed(Arc::clone(&source));
                }
                Err(StoreError::Unavailable { source })
            }
        }
    }

    fn close_idle(&self) {
        self.idle().clear();
    }

    fn take_back(&self, mut tx: Tx) {
        let session = tx.session();
        let is_lost = matches!(session.health(), Health::Lost(_));
        if session.is_reusable() && !self.turns.is_closed() {
            session.renew();
            self.idle().push(tx);
        }
        if is_lost {
            self.close_idle();
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Tx>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn say_goodbye(tx: Tx) {
    match tx.connection {
        Connection::Postgres(session) => session.close().await,
        Connection::Sqlite(_) => {}
    }
}

impl Tx {
    /// Of a transaction on Postgres, where every other connection is one too.
    pub(super) fn session(&mut self) -> &mut Session {
        match &mut self.connection {
            Connection::Postgres(session) => session,
            Connection::Sqlite(_) => unreachable!("a session of Postgres is leased from Postgres"),
        }
    }
}

impl Deref for Lease<'_> {
    type Target = Tx;

    fn deref(&self) -> &Tx {
        self.tx.as_ref().expect("a lease holds its session until it is dropped")
    }
}

impl DerefMut for Lease<'_> {
    fn deref_mut(&mut self) -> &mut Tx {
        self.tx.as_mut().expect("a lease holds its session until it is dropped")
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if let Some(tx) = self.tx.take() {
            self.sessions.take_back(tx);
        }
    }
}
