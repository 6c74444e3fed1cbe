//! What Core remembers, behind named queries.
//!
//! A use case is a function over [`Tx`]; it runs in one transaction, and its answer leaves only after the commit.
//! Use cases never see SQL, and nothing in here knows what a person or a session may do.

mod address;
mod copy;
mod error;
mod operation;
mod postgres;
mod queries;
mod sql;
mod sqlite;
mod tx;

use std::{fmt, sync::Arc, time::Duration};

pub use address::{Address, AddressError, ServerAddress};
pub use copy::{Copied, CopyError, copy};
pub use error::{OpenError, StoreError};
use futures::future::BoxFuture;
pub use operation::{Operation, Outcome, Replay};
use postern_core_link::CoreInstance;
use postgres::{Repeat, Work};
use queries::POLLS_AT_ONCE;
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, watch},
    time::timeout,
};
use tx::Part;
pub use tx::Tx;

use crate::{
    clock::{Clock, Timestamp},
    sealing::{MasterKey, Sealer},
};

/// Who polls waits no longer for a turn.
const TURN_TIME_MAX: Duration = Duration::from_secs(1);

/// Whether what a job did stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effects {
    Keep,
    Undo,
}

/// What a change sees of those that other Cores, and others here, make at the same time. On SQLite there is one at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// Nothing, as if it were alone.
    Serial,
    /// What was committed before each of its statements. For a job of which one statement alone must be right, and nobody
    /// relies on what it saw before that.
    Statements,
}

/// The database, open. Clones share it.
#[derive(Debug, Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    database: Database,
    /// Turns of those who read last.
    last: Arc<Semaphore>,
    part: Part,
}

enum Database {
    Sqlite(sqlite::Database),
    Postgres(Box<postgres::Database>),
}

impl Database {
    /// How many may read at the same time for devices that poll.
    fn turns_to_poll(&self) -> usize {
        match self {
            Self::Sqlite(database) => database.turns_to_poll(),
            Self::Postgres(_) => postgres::TURNS_TO_POLL,
        }
    }

    /// Why no turn to read came in all the time that anybody waits for one.
    fn missed_turn(&self) -> StoreError {
        match self {
            Self::Sqlite(_) => StoreError::Overloaded,
            Self::Postgres(database) => database.missed_turn(),
        }
    }
}

impl Store {
    /// Opens the database and makes it first where there is none. Refuses one that a newer version wrote, and one
    /// that belongs to another master key.
    pub async fn open(address: impl Into<Address>, key: MasterKey) -> Result<Self, OpenError> {
        Self::open_with_clock(address, key, Clock::system()).await
    }

    /// [`Self::open`] with the caller's idea of the time.
    pub async fn open_with_clock(address: impl Into<Address>, key: MasterKey, clock: Clock) -> Result<Self, OpenError> {
        let address = address.into();
        let part = Part::new(Sealer::new(&key), clock);
        let database = match &address {
            Address::File(path) => Database::Sqlite(sqlite::Database::open(path, part.clone()).await?),
            Address::Server(server) => {
                Database::Postgres(Box::new(postgres::Database::open(server, part.clone()).await?))
            }
        };
        let last = Arc::new(Semaphore::new(database.turns_to_poll()));
        let store = Self { shared: Arc::new(Shared { database, last, part }) };
        let known = store.write(|tx| Box::pin(tx.ensure_master_key_check())).await;
        let database = address.to_string();
        let error = match known {
            Ok(true) => return Ok(store),
            Ok(false) => OpenError::OtherMasterKey { database },
            Err(source) => OpenError::Database { database, source },
        };
        store.close().await;
        Err(error)
    }

    /// Whether nothing was ever stored in this database of a server, so that any master key may become its own.
    pub async fn is_new(server: &ServerAddress) -> Result<bool, OpenError> {
        postgres::is_new(server).await
    }

    /// Reads. Each query sees the last commit; several queries are not one snapshot. A change in here fails.
    pub async fn read<T, E, F>(&self, job: F) -> Result<T, E>
    where
        F: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, Result<T, E>> + Send,
        E: From<StoreError>,
    {
        match &self.shared.database {
            Database::Sqlite(database) => job(&mut *database.reader().await?).await,
            Database::Postgres(database) => database.read(job).await,
        }
    }

    /// For what a device asks for again by itself: a turn to [`Self::read`] behind everybody else, so that whoever logs in
    /// never waits for all who poll.
    pub async fn last_turn(&self) -> Result<OwnedSemaphorePermit, StoreError> {
        let acquired = timeout(TURN_TIME_MAX, Arc::clone(&self.shared.last).acquire_owned());
        let turn = acquired.await.map_err(|_| self.shared.database.missed_turn())?;
        turn.map_err(|_| StoreError::Closed)
    }

    /// For how many devices that poll one read is made.
    pub fn polls_at_once(&self) -> usize {
        match &self.shared.database {
            Database::Sqlite(_) => 1,
            Database::Postgres(_) => POLLS_AT_ONCE,
        }
    }

    /// Changes, in one transaction: all of it on `Ok`, nothing of it on `Err`. Returns after the commit. Where another
    /// Core changed the same in between, the job runs again from its beginning.
    pub async fn write<T, E, F>(&self, job: F) -> Result<T, E>
    where
        F: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, Result<T, E>> + Clone + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.submit(Work { repeat: Repeat::Never, isolation: Isolation::Serial }, move |tx| {
            Box::pin(async move {
                let result = job(tx).await;
                let effects = if result.is_ok() { Effects::Keep } else { Effects::Undo };
                (result, effects)
            })
        })
        .await?
    }

    /// Runs an operation at most once within the replay window: a repeat gets the stored reply. Without an operation
    /// (its sender names none) it simply runs.
    pub async fn operate<R, F>(&self, operation: Option<Operation>, job: F) -> Result<R, StoreError>
    where
        F: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, Outcome<R>> + Clone + Send + 'static,
        R: Replay + Send + 'static,
    {
        self.operate_in(Isolation::Serial, operation, job).await
    }

    /// [`Self::operate`] for a job that may not need to be kept apart from everything else.
    pub async fn operate_in<R, F>(
        &self,
        isolation: Isolation,
        operation: Option<Operation>,
        job: F,
    ) -> Result<R, StoreError>
    where
        F: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, Outcome<R>> + Clone + Send + 'static,
        R: Replay + Send + 'static,
    {
        let repeat = if operation.is_some() { Repeat::FindsClaim } else { Repeat::Never };
        self.submit(Work { repeat, isolation }, move |tx| Box::pin(operation::run(tx, operation, job))).await?
    }

    /// Whether the reply of this operation is stored, so that a repeat gets it whatever has changed since.
    pub async fn remembers(&self, operation: &Operation) -> Result<bool, StoreError> {
        let claim = operation.clone();
        self.read(|tx| Box::pin(async move { operation::is_remembered(tx, &claim).await })).await
    }

    pub fn now(&self) -> Timestamp {
        self.shared.part.clock.now()
    }

    pub fn sealer(&self) -> &Sealer {
        &self.shared.part.sealer
    }

    /// Wakes whoever waits for mails, after the commit of each.
    pub fn mail_posted(&self) -> Arc<Notify> {
        Arc::clone(&self.shared.part.mail_posted)
    }

    /// Wakes whoever follows what other Cores change. A wake-up may be missed, so it is also looked without one.
    pub fn changes_woken(&self) -> watch::Receiver<()> {
        self.shared.part.changed.subscribe()
    }

    /// This run of this Core: one id for each process, on the wire and as the holder of leases.
    pub fn core(&self) -> &CoreInstance {
        &self.shared.part.core
    }

    /// Connects to the server as often as it will be needed, where there is one. What cannot be had now is made when it is
    /// needed.
    pub async fn connect(&self) {
        match &self.shared.database {
            Database::Sqlite(_) => {}
            Database::Postgres(database) => database.connect().await,
        }
    }

    /// Finishes what is queued and closes the database.
    pub async fn close(&self) {
        match &self.shared.database {
            Database::Sqlite(database) => database.close().await,
            Database::Postgres(database) => database.close().await,
        }
    }

    async fn submit<T, F>(&self, work: Work, job: F) -> Result<T, StoreError>
    where
        F: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, (T, Effects)> + Clone + Send + 'static,
        T: Send + 'static,
    {
        match &self.shared.database {
            Database::Sqlite(database) => database.submit(job).await,
            Database::Postgres(database) => database.submit(work, job).await,
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.database {
            Database::Sqlite(_) => "Sqlite",
            Database::Postgres(_) => "Postgres",
        })
    }
}
