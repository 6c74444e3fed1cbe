//! The store on SQLite: one writer that commits in groups, and a pool of readers.

mod activity;
mod approvals;
mod attempts;
mod authenticators;
mod authorisations;
mod authority;
mod devices;
mod edges;
mod enrollment_tokens;
mod familiar_networks;
mod hosts;
mod instance;
mod locations;
mod mail_codes;
mod mails;
mod mfa_sessions;
mod migrations;
mod openid;
mod operations;
mod password_resets;
mod peers;
mod people;
mod phone_keys;
mod posture;
mod readers;
mod recovery_codes;
mod trouble;
mod web_certificate;
mod writer;

use std::{
    fmt, fs, io,
    num::NonZeroUsize,
    ops::RangeInclusive,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures::future::BoxFuture;
use sqlx::{
    ConnectOptions as _, SqlitePool,
    pool::PoolConnection,
    sqlite::{Sqlite, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use tokio::{sync::Notify, time::timeout};

use super::{Effects, OpenError, StoreError};
use crate::{
    activity::AuthLine,
    clock::{Clock, Timestamp},
    sealing::{Place, Sealer},
};

/// Another process has the file for at most a command's time; a caller leaves after 4 s.
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(1);
/// A disk that stalls while Core starts is no reason to give up.
const OPEN_TIMEOUT: Duration = Duration::from_secs(30);
/// As many as there are processors, within this: more only take turns, and each has a cache of its own.
const READERS: RangeInclusive<usize> = 2..=8;
/// Negative: KiB. At 50,000 people a poll finds in this what it needs; filled only as far as the database is large.
const READER_CACHE: &str = "-16384";
/// The pages that changes touch lie all over a large database. There is one writer.
const WRITER_CACHE: &str = "-32768";
/// Pages. The more changes one checkpoint folds into the file, the more of them fell on the same page: 16 MiB of log.
const CHECKPOINT_AFTER: &str = "4096";
/// All named queries fit; a statement is then prepared once for each connection.
const STATEMENTS_CACHED: usize = 256;

/// The file, open for reading and writing.
pub(super) struct Database {
    readers: readers::Readers,
    writer: writer::Writer,
    part: Part,
}

/// What each transaction needs besides its connection.
#[derive(Clone)]
struct Part {
    sealer: Arc<Sealer>,
    clock: Clock,
    /// Wakes whoever delivers mail.
    mail_posted: Arc<Notify>,
}

/// One transaction: the named queries of all use cases, the time, and the sealer.
pub struct Tx {
    connection: PoolConnection<Sqlite>,
    part: Part,
    log: Log,
}

/// What leaves a transaction when it is committed, and not before: lines about its rows, and news.
#[derive(Default)]
struct Log {
    lines: Vec<AuthLine>,
    news: Vec<News>,
    /// How many of each were there when the running job began.
    before_job: (usize, usize),
}

/// Told to somebody in this process, who waits for the commit.
type News = Box<dyn FnOnce() + Send>;

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Database")
    }
}

impl fmt::Debug for Tx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tx")
    }
}

impl Database {
    pub(super) async fn open(path: &Path, sealer: Arc<Sealer>, clock: Clock) -> Result<Self, OpenError> {
        create_private(path).map_err(|source| OpenError::Create { path: path.to_owned(), source })?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .statement_cache_capacity(STATEMENTS_CACHED)
            .disable_statement_logging();
        let failed = |source: sqlx::Error| OpenError::Database { path: path.to_owned(), source: source.into() };
        migrations::run(options.clone(), path).await?;
        // One connection, held by the writer; the pool is what replaces it when it breaks.
        let writing = options.clone().pragma("cache_size", WRITER_CACHE).pragma("wal_autocheckpoint", CHECKPOINT_AFTER);
        let writing = pool(1).connect_with(writing).await.map_err(failed)?;
        let reading = options.read_only(true).pragma("cache_size", READER_CACHE);
        let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let count = processors.clamp(*READERS.start(), *READERS.end());
        let readers = pool(u32::try_from(count).unwrap_or(1)).connect_with(reading).await.map_err(failed)?;
        let part = Part { sealer, clock, mail_posted: Arc::default() };
        let readers = readers::Readers::new(readers, count, part.clone());
        let database = Self { readers, writer: writer::Writer::start(writing, part.clone()), part };
        database.check_master_key(path).await?;
        Ok(database)
    }

    pub(super) async fn reader(&self) -> Result<readers::Lease<'_>, StoreError> {
        self.readers.lease().await
    }

    pub(super) async fn submit<T, F>(&self, job: F) -> Result<T, StoreError>
    where
        F: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, (T, Effects)> + Send + 'static,
        T: Send + 'static,
    {
        self.writer.submit(job).await
    }

    pub(super) fn now(&self) -> Timestamp {
        self.part.clock.now()
    }

    pub(super) fn sealer(&self) -> &Sealer {
        &self.part.sealer
    }

    pub(super) fn mail_posted(&self) -> Arc<Notify> {
        Arc::clone(&self.part.mail_posted)
    }

    pub(super) async fn close(&self) {
        // The last connection to leave folds the log into the file, which one that only reads could not.
        self.readers.close().await;
        self.writer.stop().await;
    }

    async fn check_master_key(&self, path: &Path) -> Result<(), OpenError> {
        let known = self
            .submit(|tx| {
                Box::pin(async move {
                    let known = tx.ensure_master_key_check().await;
                    let effects = if known.is_ok() { Effects::Keep } else { Effects::Undo };
                    (known, effects)
                })
            })
            .await;
        let path: PathBuf = path.to_owned();
        match known {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(OpenError::OtherMasterKey { path }),
            Ok(Err(source)) | Err(source) => Err(OpenError::Database { path, source }),
        }
    }
}

impl Tx {
    fn new(connection: PoolConnection<Sqlite>, part: Part) -> Self {
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

    /// Ends with the commit, which takes what the last job did along.
    async fn begin(&mut self) -> Result<(), StoreError> {
        self.run("BEGIN IMMEDIATE; SAVEPOINT job").await
    }

    async fn begin_job(&mut self) -> Result<(), StoreError> {
        self.log.before_job = (self.log.lines.len(), self.log.news.len());
        self.run("RELEASE job; SAVEPOINT job").await
    }

    /// Goes back to the start of this job, within its transaction.
    pub(super) async fn undo(&mut self) -> Result<(), StoreError> {
        self.log.lines.truncate(self.log.before_job.0);
        self.log.news.truncate(self.log.before_job.1);
        self.run("ROLLBACK TO job").await
    }

    async fn run(&mut self, statement: &'static str) -> Result<(), StoreError> {
        sqlx::query(statement).execute(&mut *self.connection).await?;
        Ok(())
    }

    /// True: the master key is the one of this database, which is also so when the database had none yet.
    async fn ensure_master_key_check(&mut self) -> Result<bool, StoreError> {
        const PLACE: Place<'_> = Place { table: "master_key_check", column: "sealed", row: b"1" };
        let sealed = self.sealer().seal(PLACE, b"this master key");
        sqlx::query("INSERT INTO master_key_check (singleton, sealed) VALUES (1, $1) ON CONFLICT DO NOTHING")
            .bind(sealed)
            .execute(&mut *self.connection)
            .await?;
        let sealed: Vec<u8> =
            sqlx::query_scalar("SELECT sealed FROM master_key_check").fetch_one(&mut *self.connection).await?;
        Ok(self.sealer().open(PLACE, &sealed).is_ok())
    }
}

/// From the pool, within the time that a caller has.
async fn acquire(pool: &SqlitePool) -> Result<PoolConnection<Sqlite>, StoreError> {
    let acquired = timeout(ACQUIRE_TIMEOUT, pool.acquire()).await.map_err(|_| sqlx::Error::PoolTimedOut)?;
    Ok(acquired?)
}

fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(OPEN_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        // A connection to a file does not go stale.
        .test_before_acquire(false)
}

/// SQLite gives its side files the permissions of the database file, so that one decides.
fn create_private(path: &Path) -> io::Result<()> {
    match fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}
