//! One connection to Postgres, and whether it can be trusted after what happened on it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::TryStreamExt as _;
use sqlx::{
    Connection as _, PgConnection,
    postgres::{PgArguments, PgRow},
    query_with, raw_sql,
};
use tokio::time::timeout;

use super::trouble::{Trouble, is_undone_for_certain, trouble};
use crate::store::{Isolation, StoreError};

/// For what only tidies up.
const ROLLBACK_TIMEOUT: Duration = Duration::from_secs(1);

/// A connection, in a transaction or between two.
pub(in crate::store) struct Session {
    connection: PgConnection,
    health: Health,
    is_in_transaction: bool,
    presence: Arc<Presence>,
    _present: Arc<()>,
}

/// Of a server, as all sessions of a Core see it.
pub(super) struct Presence {
    last_answer: Mutex<Instant>,
    /// Each session holds one more.
    sessions: Arc<()>,
}

impl Default for Presence {
    fn default() -> Self {
        Self { last_answer: Mutex::new(Instant::now()), sessions: Arc::default() }
    }
}

impl Presence {
    /// To any statement of any session; at first, when nobody had asked anything.
    pub(super) fn last_answer(&self) -> Instant {
        *self.last_answer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn has_sessions(&self) -> bool {
        Arc::strong_count(&self.sessions) > 1
    }

    fn note_answer(&self) {
        *self.last_answer.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

/// Who else may change something during a transaction, at any Core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Company {
    Others,
    /// Whoever changes something at this moment ends first, and whoever comes later waits.
    Nobody,
}

/// A table that is never changed is the gate, taken before the transaction sees anything. Postgres serves those who
/// wait for it in order, and ends a session that falls silent while it holds it.
macro_rules! begin {
    ($level:literal, $mode:literal) => {
        concat!("BEGIN ISOLATION LEVEL ", $level, "; LOCK TABLE master_key_check IN ", $mode, " MODE; SAVEPOINT job")
    };
}

/// What has become of a session.
#[derive(Debug, Clone)]
pub(super) enum Health {
    Sound,
    /// A statement was begun and its end not waited for.
    Busy,
    /// A statement failed, and Postgres will not commit the transaction.
    Aborted(Arc<sqlx::Error>),
    /// It collided with another transaction; the same once more may succeed.
    Conflict(Arc<sqlx::Error>),
    /// Nobody answers any more.
    Lost(Arc<sqlx::Error>),
}

impl Session {
    pub(super) fn new(connection: PgConnection, presence: Arc<Presence>) -> Self {
        let _present = Arc::clone(&presence.sessions);
        Self { connection, health: Health::Sound, is_in_transaction: false, presence, _present }
    }

    pub(in crate::store) async fn execute(
        &mut self,
        text: &'static str,
        arguments: PgArguments,
    ) -> Result<u64, StoreError> {
        let before = self.begin_statement();
        let outcome = query_with(text, arguments).execute(&mut self.connection).await;
        Ok(self.end_statement(before, outcome)?.rows_affected())
    }

    pub(in crate::store) async fn fetch_optional(
        &mut self,
        text: &'static str,
        arguments: PgArguments,
    ) -> Result<Option<PgRow>, StoreError> {
        let before = self.begin_statement();
        let outcome = query_with(text, arguments).fetch_optional(&mut self.connection).await;
        self.end_statement(before, outcome)
    }

    pub(in crate::store) async fn fetch_all(
        &mut self,
        text: &'static str,
        arguments: PgArguments,
    ) -> Result<Vec<PgRow>, StoreError> {
        let before = self.begin_statement();
        let outcome = query_with(text, arguments).fetch_all(&mut self.connection).await;
        self.end_statement(before, outcome)
    }

    pub(in crate::store) async fn for_each(
        &mut self,
        text: &'static str,
        arguments: PgArguments,
        mut take: impl FnMut(PgRow) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let before = self.begin_statement();
        let mut rows = query_with(text, arguments).fetch(&mut self.connection);
        let mut refused = None;
        let outcome = loop {
            match rows.try_next().await {
                Ok(Some(row)) => {
                    // What is left of the answer is skipped by whatever is asked next.
                    if let Err(error) = take(row) {
                        refused = Some(error);
                        break Ok(());
                    }
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        drop(rows);
        self.end_statement(before, outcome)?;
        refused.map_or(Ok(()), Err)
    }

    /// Statements without values, which need not be prepared.
    pub(in crate::store) async fn run(&mut self, statements: &'static str) -> Result<(), StoreError> {
        let before = self.begin_statement();
        let outcome = raw_sql(statements).execute(&mut self.connection).await;
        self.end_statement(before, outcome).map(drop)
    }

    pub(super) async fn begin(&mut self, isolation: Isolation, company: Company) -> Result<(), StoreError> {
        self.is_in_transaction = true;
        self.run(match (isolation, company) {
            (Isolation::Serial, Company::Others) => begin!("SERIALIZABLE", "ROW SHARE"),
            (Isolation::Serial, Company::Nobody) => begin!("SERIALIZABLE", "EXCLUSIVE"),
            (Isolation::Statements, Company::Others) => begin!("READ COMMITTED", "ROW SHARE"),
            (Isolation::Statements, Company::Nobody) => begin!("READ COMMITTED", "EXCLUSIVE"),
        })
        .await
    }

    /// Back to the savepoint, where what failed after it counts no more; but a conflict is one of the whole transaction.
    pub(in crate::store) async fn undo(&mut self) -> Result<(), StoreError> {
        self.run("ROLLBACK TO SAVEPOINT job").await?;
        if matches!(self.health, Health::Aborted(_)) {
            self.health = Health::Sound;
        }
        Ok(())
    }

    pub(super) async fn commit(&mut self) -> Result<(), sqlx::Error> {
        let before = self.begin_statement();
        let outcome = raw_sql("COMMIT").execute(&mut self.connection).await;
        // A server that refuses has ended the transaction.
        if outcome.as_ref().err().is_none_or(is_undone_for_certain) {
            self.presence.note_answer();
            self.health = before;
            self.is_in_transaction = false;
        }
        outcome.map(drop)
    }

    /// Where it does not succeed, the session is closed, which undoes as well.
    pub(super) async fn roll_back(&mut self) {
        if matches!(self.health, Health::Busy | Health::Lost(_)) {
            return;
        }
        let rolled_back = raw_sql("ROLLBACK").execute(&mut self.connection);
        if let Ok(Ok(_)) = timeout(ROLLBACK_TIMEOUT, rolled_back).await {
            self.health = Health::Sound;
            self.is_in_transaction = false;
        }
    }

    pub(super) fn health(&self) -> &Health {
        &self.health
    }

    /// Whether another job may have it.
    pub(super) fn is_reusable(&self) -> bool {
        let is_sound = match self.health {
            Health::Sound => true,
            // Outside of a transaction a statement fails alone.
            Health::Aborted(_) => !self.is_in_transaction,
            Health::Busy | Health::Conflict(_) | Health::Lost(_) => false,
        };
        is_sound && !self.is_in_transaction
    }

    pub(super) fn renew(&mut self) {
        self.health = Health::Sound;
    }

    /// In order. One that is dropped ends too, and what it had begun is undone.
    pub(super) async fn close(self) {
        // The server notices in any case.
        self.connection.close().await.ok();
    }

    fn begin_statement(&mut self) -> Health {
        std::mem::replace(&mut self.health, Health::Busy)
    }

    fn end_statement<T>(&mut self, before: Health, outcome: Result<T, sqlx::Error>) -> Result<T, StoreError> {
        let error = match outcome {
            Ok(value) => {
                self.presence.note_answer();
                self.health = before;
                return Ok(value);
            }
            Err(error) => Arc::new(error),
        };
        let trouble = trouble(&error);
        if trouble != Trouble::Lost {
            self.presence.note_answer();
        }
        self.health = match (before, trouble) {
            // The first one says why; the others only follow from it.
            (before @ (Health::Conflict(_) | Health::Lost(_)), _) => before,
            (_, Trouble::Conflict | Trouble::Constraint) => Health::Conflict(Arc::clone(&error)),
            (_, Trouble::Lost) => Health::Lost(Arc::clone(&error)),
            (_, Trouble::Server | Trouble::Ours) => Health::Aborted(Arc::clone(&error)),
        };
        Err(trouble.before_commit(error))
    }
}
