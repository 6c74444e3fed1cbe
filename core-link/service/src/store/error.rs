//! What can go wrong with the store, told apart by whether anything may have changed.

use std::{io, sync::Arc};

use crate::sealing::OpenSealedError;

/// A read or a change failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("too many changes wait for the store")]
    Overloaded,
    #[error("the store cannot be used right now; nothing was changed")]
    Unavailable {
        #[source]
        source: Arc<sqlx::Error>,
    },
    #[error("a change took too long and was undone")]
    TimedOut,
    #[error("a change panicked and was undone")]
    Panicked,
    #[error("the store is closed")]
    Closed,
    #[error("the store's writer failed; whether the change took place is not known")]
    WriterFailed,
    #[error("the store failed; nothing was changed")]
    Failed {
        #[source]
        source: Arc<sqlx::Error>,
    },
    #[error("a commit failed; whether it took place is not known")]
    Uncertain {
        #[source]
        source: Arc<sqlx::Error>,
    },
    #[error("a value in {table} is damaged")]
    Damaged { table: &'static str },
    #[error(transparent)]
    Sealed(#[from] OpenSealedError),
}

impl StoreError {
    /// What broke a whole transaction that nobody had tried to commit: certainly without effect.
    pub(super) fn before_commit(self) -> Self {
        if let Self::Failed { source } = self { Self::Unavailable { source } } else { self }
    }

    /// The same failure, for each of those who shared a commit or a read.
    pub(crate) fn share(&self) -> Self {
        match self {
            Self::Overloaded => Self::Overloaded,
            Self::Unavailable { source } => Self::Unavailable { source: Arc::clone(source) },
            Self::TimedOut => Self::TimedOut,
            Self::Panicked => Self::Panicked,
            Self::Closed => Self::Closed,
            Self::WriterFailed => Self::WriterFailed,
            Self::Failed { source } => Self::Failed { source: Arc::clone(source) },
            Self::Uncertain { source } => Self::Uncertain { source: Arc::clone(source) },
            Self::Damaged { table } => Self::Damaged { table },
            Self::Sealed(error) => Self::Sealed(*error),
        }
    }
}

/// The store does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("cannot make the database file {database}")]
    Create {
        database: String,
        #[source]
        source: io::Error,
    },
    #[error("cannot open the database {database}")]
    Database {
        database: String,
        #[source]
        source: StoreError,
    },
    #[error("cannot connect to the database {database}")]
    Unreachable {
        database: String,
        #[source]
        source: Box<sqlx::Error>,
    },
    #[error("the server refuses the user or the password for the database {database}")]
    WrongPassword { database: String },
    #[error("there is no database {database}; make it on the server, with `createdb`")]
    NoSuchDatabase { database: String },
    #[error("a newer version wrote the database {database} (its migration {migration} is not known here)")]
    Newer { database: String, migration: i64 },
    #[error("cannot bring the database {database} up to date")]
    Migrate {
        database: String,
        #[source]
        source: Box<sqlx::migrate::MigrateError>,
    },
    #[error("the database {database} belongs to another master key; use the key file of those who use it already")]
    OtherMasterKey { database: String },
}
