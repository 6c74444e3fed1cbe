//! What Core remembers, behind named queries.
//!
//! A use case is a function over [`Tx`]; it runs in one transaction, and its answer leaves only after the commit.
//! Use cases never see SQL, and nothing in here knows what a person or a session may do.

mod error;
mod operation;
mod sqlite;

use std::{path::Path, sync::Arc};

pub use error::{OpenError, StoreError};
use futures::future::BoxFuture;
pub use operation::{Operation, Outcome, Replay};
pub use sqlite::Tx;
use tokio::sync::Notify;

use crate::{
    clock::{Clock, Timestamp},
    sealing::{MasterKey, Sealer},
};

/// Whether what a job did stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effects {
    Keep,
    Undo,
}

/// The database, open. Clones share it.
#[derive(Debug, Clone)]
pub struct Store {
    database: Arc<sqlite::Database>,
}

impl Store {
    /// Opens the database and makes it first where there is none. Refuses one that a newer version wrote, and one
    /// that belongs to another master key.
    pub async fn open(path: &Path, key: MasterKey) -> Result<Self, OpenError> {
        Self::open_with_clock(path, key, Clock::system()).await
    }

    /// [`Self::open`] with the caller's idea of the time.
    pub async fn open_with_clock(path: &Path, key: MasterKey, clock: Clock) -> Result<Self, OpenError> {
        let sealer = Arc::new(Sealer::new(&key));
        Ok(Self { database: Arc::new(sqlite::Database::open(path, sealer, clock).await?) })
    }

    /// Reads. Each query sees the last commit; several queries are not one snapshot. A change in here fails.
    pub async fn read<T, E, F>(&self, job: F) -> Result<T, E>
    where
        F: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, Result<T, E>> + Send,
        E: From<StoreError>,
    {
        let mut tx = self.database.reader().await?;
        job(&mut tx).await
    }

    /// Changes, in one transaction: all of it on `Ok`, nothing of it on `Err`. Returns after the commit.
    pub async fn write<T, E, F>(&self, job: F) -> Result<T, E>
    where
        F: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.database
            .submit(move |tx| {
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
        F: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, Outcome<R>> + Send + 'static,
        R: Replay + Send + 'static,
    {
        self.database.submit(move |tx| Box::pin(operation::run(tx, operation, job))).await?
    }

    /// Whether the reply of this operation is stored, so that a repeat gets it whatever has changed since.
    pub async fn remembers(&self, operation: &Operation) -> Result<bool, StoreError> {
        let mut tx = self.database.reader().await?;
        operation::is_remembered(&mut tx, operation).await
    }

    pub fn now(&self) -> Timestamp {
        self.database.now()
    }

    pub fn sealer(&self) -> &Sealer {
        self.database.sealer()
    }

    /// Wakes whoever waits for mails, after the commit of each.
    pub fn mail_posted(&self) -> Arc<Notify> {
        self.database.mail_posted()
    }

    /// Finishes what is queued and closes the database.
    pub async fn close(&self) {
        self.database.close().await;
    }
}
