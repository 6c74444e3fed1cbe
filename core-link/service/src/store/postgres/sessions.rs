//! Sessions in hand, so that nobody waits for a connection that exists already.
//!
//! A pool of sqlx makes and replaces them, but asks each one whether it is alive whenever it comes back, which would
//! double the round trips of a poll. Here one that failed is closed, and when the server went, all idle ones with it.

use std::{
    ops::{Deref, DerefMut},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use super::session::{Health, Session};
use crate::store::{
    StoreError,
    sql::Connection,
    tx::{Part, Tx},
};

/// For a turn, and for a new connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(1);

pub(super) struct Sessions {
    pool: PgPool,
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
    pub(super) fn new(options: PgConnectOptions, count: u32, part: Part) -> Self {
        let pool = PgPoolOptions::new()
            .max_connections(count)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_lazy_with(options);
        Self { pool, part, turns: Semaphore::new(count as usize), idle: Mutex::default() }
    }

    pub(super) async fn lease(&self) -> Result<Lease<'_>, StoreError> {
        let turn = timeout(ACQUIRE_TIMEOUT, self.turns.acquire()).await.map_err(|_| StoreError::Overloaded)?;
        let turn = turn.map_err(|_| StoreError::Closed)?;
        let idle = self.idle().pop();
        let tx = match idle {
            Some(tx) => tx,
            None => Tx::new(Connection::Postgres(self.connect().await?), self.part.clone()),
        };
        Ok(Lease { sessions: self, tx: Some(tx), _turn: turn })
    }

    pub(super) async fn close(&self) {
        self.turns.close();
        self.close_idle();
        // Whatever is still in use is closed when it comes back.
        timeout(ACQUIRE_TIMEOUT, self.pool.close()).await.ok();
    }

    async fn connect(&self) -> Result<Session, StoreError> {
        let connected = timeout(ACQUIRE_TIMEOUT, self.pool.acquire()).await;
        match connected {
            Ok(Ok(connection)) => Ok(Session::new(connection)),
            Ok(Err(sqlx::Error::PoolClosed)) => Err(StoreError::Closed),
            // Whatever it is, nothing was begun: a server that is down, full, or wants another password now.
            Ok(Err(source)) => Err(StoreError::Unavailable { source: source.into() }),
            Err(_) => Err(StoreError::Unavailable { source: sqlx::Error::PoolTimedOut.into() }),
        }
    }

    fn close_idle(&self) {
        let idle = std::mem::take(&mut *self.idle());
        idle.into_iter().for_each(close);
    }

    fn take_back(&self, mut tx: Tx) {
        let session = tx.session();
        let is_lost = matches!(session.health(), Health::Lost(_));
        if session.is_reusable() && !self.turns.is_closed() {
            session.renew();
            self.idle().push(tx);
        } else {
            close(tx);
        }
        if is_lost {
            self.close_idle();
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Tx>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn close(tx: Tx) {
    match tx.connection {
        Connection::Postgres(session) => session.close(),
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
