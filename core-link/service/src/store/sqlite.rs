//! The store on SQLite: one writer that commits in groups, and a pool of readers.

mod migrations;
mod readers;
mod trouble;
mod writer;

use std::{
    fs, io, num::NonZeroUsize, ops::RangeInclusive, os::unix::fs::OpenOptionsExt as _, path::Path, time::Duration,
};

use futures::future::BoxFuture;
pub(super) use migrations::NEWEST as NEWEST_MIGRATION;
use sqlx::{
    ConnectOptions as _, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use tokio::time::timeout;

use super::{
    Effects, OpenError, StoreError,
    sql::Connection,
    tx::{Part, Tx},
};

/// Another process has the file for at most a command's time; a caller leaves after 4 s.
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(1);
/// A disk that stalls while Core starts is no reason to give up.
const OPEN_TIMEOUT: Duration = Duration::from_secs(30);
/// As many as there are processors, within this, beside those that are kept for people: more only take turns, and each has
/// a cache of its own.
const READERS: RangeInclusive<usize> = 2..=8;
/// Readers that are left to people, however many devices poll.
const KEPT_FOR_PEOPLE: usize = 2;
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
    count: usize,
    writer: writer::Writer,
}

impl Database {
    pub(super) async fn open(path: &Path, part: Part) -> Result<Self, OpenError> {
        create_private(path).map_err(|source| OpenError::Create { database: path.display().to_string(), source })?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            // What a change may have to undo would else go to a folder for temporary files, and an image may have none.
            .pragma("temp_store", "MEMORY")
            .statement_cache_capacity(STATEMENTS_CACHED)
            .disable_statement_logging();
        let failed =
            |source: sqlx::Error| OpenError::Database { database: path.display().to_string(), source: source.into() };
        migrations::run(options.clone(), path).await?;
        // One connection, held by the writer; the pool is what replaces it when it breaks.
        let writing = options.clone().pragma("cache_size", WRITER_CACHE).pragma("wal_autocheckpoint", CHECKPOINT_AFTER);
        let writing = pool(1).connect_with(writing).await.map_err(failed)?;
        let reading = options.read_only(true).pragma("cache_size", READER_CACHE);
        let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let count = processors.clamp(*READERS.start(), *READERS.end()) + KEPT_FOR_PEOPLE;
        let readers = pool(u32::try_from(count).unwrap_or(1)).connect_with(reading).await.map_err(failed)?;
        let readers = readers::Readers::new(readers, count, part.clone());
        Ok(Self { readers, count, writer: writer::Writer::start(writing, part) })
    }

    pub(super) fn turns_to_poll(&self) -> usize {
        self.count.saturating_sub(KEPT_FOR_PEOPLE).max(1)
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

    pub(super) async fn close(&self) {
        // The last connection to leave folds the log into the file, which one that only reads could not.
        self.readers.close().await;
        self.writer.stop().await;
    }
}

/// From the pool, within the time that a caller has.
async fn acquire(pool: &SqlitePool) -> Result<Connection, StoreError> {
    let acquired = timeout(ACQUIRE_TIMEOUT, pool.acquire()).await.map_err(|_| sqlx::Error::PoolTimedOut)?;
    Ok(Connection::Sqlite(acquired?))
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
