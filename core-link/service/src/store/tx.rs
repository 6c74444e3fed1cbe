//! One transaction, and what leaves it with the commit.

use std::{fmt, sync::Arc};

use postern_core_link::CoreInstance;
use tokio::sync::{Notify, watch};

use super::{
    StoreError,
    sql::{Connection, sql},
};
use crate::{
    activity::AuthLine,
    clock::{Clock, Timestamp},
    sealing::{Place, Sealer},
};

/// What only the master key of a database opens.
pub(super) const MASTER_KEY_CHECK: Place<'_> = Place { table: "master_key_check", column: "sealed", row: b"1" };

/// What each transaction needs besides its connection.
#[derive(Clone)]
pub(super) struct Part {
    pub(super) sealer: Arc<Sealer>,
    pub(super) clock: Clock,
    /// Wakes whoever delivers mail.
    pub(super) mail_posted: Arc<Notify>,
    /// Wakes whoever follows what other Cores change.
    pub(super) changed: watch::Sender<()>,
    /// This run of this Core, which leases name as their holder.
    pub(super) core: CoreInstance,
}

impl Part {
    pub(super) fn new(sealer: Sealer, clock: Clock) -> Self {
        Self {
            sealer: Arc::new(sealer),
            clock,
            mail_posted: Arc::default(),
            changed: watch::Sender::default(),
            core: CoreInstance::random(),
        }
    }
}

/// One transaction: the named queries of all use cases, the time, and the sealer.
pub struct Tx {
    pub(super) connection: Connection,
    pub(super) part: Part,
    pub(super) log: Log,
}

/// What leaves a transaction when it is committed, and not before: lines about its rows, and news.
#[derive(Default)]
pub(super) struct Log {
    pub(super) lines: Vec<AuthLine>,
    news: Vec<News>,
    /// How many of each were there when the running job began.
    before_job: (usize, usize),
}

/// Told to somebody in this process, who waits for the commit.
type News = Box<dyn FnOnce() + Send>;

impl fmt::Debug for Tx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tx")
    }
}

impl Tx {
    pub(super) fn new(connection: Connection, part: Part) -> Self {
        Self { connection, part, log: Log::default() }
    }

    /// When this is: one answer for everybody, so that tests decide.
    pub fn now(&self) -> Timestamp {
        self.part.clock.now()
    }

    pub fn sealer(&self) -> &Sealer {
        &self.part.sealer
    }

    /// Runs when what this job did is committed, also if its caller has left by then. It must not wait for anything.
    pub fn after_commit(&mut self, tell: impl FnOnce() + Send + 'static) {
        self.log.news.push(Box::new(tell));
    }

    pub(super) async fn begin_job(&mut self) -> Result<(), StoreError> {
        self.log.mark();
        self.run("RELEASE job; SAVEPOINT job").await
    }

    /// Goes back to the start of this job, within its transaction.
    pub(super) async fn undo(&mut self) -> Result<(), StoreError> {
        self.log.lines.truncate(self.log.before_job.0);
        self.log.news.truncate(self.log.before_job.1);
        match &mut self.connection {
            Connection::Sqlite(_) => self.run("ROLLBACK TO job").await,
            Connection::Postgres(session) => session.undo().await,
        }
    }

    pub(super) async fn run(&mut self, statement: &'static str) -> Result<(), StoreError> {
        sql(statement).execute(&mut self.connection).await?;
        Ok(())
    }

    /// True: the master key is the one of this database, which is also so when the database had none yet.
    pub(super) async fn ensure_master_key_check(&mut self) -> Result<bool, StoreError> {
        let sealed = self.sealer().seal(MASTER_KEY_CHECK, b"this master key");
        sql("INSERT INTO master_key_check (singleton, sealed) VALUES (1, $1) ON CONFLICT DO NOTHING")
            .bind(sealed)
            .execute(&mut self.connection)
            .await?;
        let sealed: Vec<u8> = sql("SELECT sealed FROM master_key_check").scalar_one(&mut self.connection).await?;
        Ok(self.sealer().open(MASTER_KEY_CHECK, &sealed).is_ok())
    }
}

impl Log {
    /// Where [`Tx::undo`] goes back to.
    pub(super) fn mark(&mut self) {
        self.before_job = (self.lines.len(), self.news.len());
    }

    /// After the commit.
    pub(super) fn leave(&mut self) {
        self.lines.drain(..).for_each(AuthLine::write);
        self.news.drain(..).for_each(|tell| tell());
    }
}
