//! What can go wrong with the store, told apart by whether anything may have changed.

use std::{io, path::PathBuf, sync::Arc};

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

    /// The same failure, for each of those who shared a commit.
    pub(super) fn share(&self) -> Self {
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
    #[error("cannot make the database file {path}")]
    Create {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot open the database {path}")]
    Database {
        path: PathBuf,
        #[source]
        source: StoreError,
    },
    #[error("a newer version wrote the database {path} (its migration {migration} is not known here)")]
    Newer { path: PathBuf, migration: i64 },
    #[error("cannot bring the database {path} up to date")]
    Migrate {
        path: PathBuf,
        #[source]
        source: Box<sqlx::migrate::MigrateError>,
    },
    #[error("the database {path} belongs to another master key")]
    OtherMasterKey { path: PathBuf },
}
