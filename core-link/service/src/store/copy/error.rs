//! Why nothing was copied.

use crate::store::OpenError;

/// The store was not copied; the database is as it was.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    #[error(transparent)]
    Open(OpenError),
    #[error("there is no database {database}")]
    NoSource { database: String },
    #[error(
        "an older version wrote the database {database}; start Core of this version on it once, stop it, and come back"
    )]
    OlderSource { database: String },
    #[error("the database {database} belongs to another master key than the one in the key file")]
    OtherMasterKey { database: String },
    #[error("the database {database} is not one of this version: {difference}")]
    Schema { database: String, difference: String },
    #[error(
        "the database {database} holds something else already ({table} differs), and was left alone; name an empty one"
    )]
    NotEmpty { database: String, table: String },
    #[error("somebody began to use the database {database}, which was left alone; stop every Core on it")]
    InUse { database: String },
    #[error("a value in {table}.{column} cannot be kept in Postgres: {reason} (row {row})")]
    Value { table: String, column: String, row: i64, reason: &'static str },
    #[error(transparent)]
    Lost(#[from] LostRow),
    #[error("the database {database} failed")]
    Database {
        database: String,
        #[source]
        source: Box<sqlx::Error>,
    },
}

/// What was read is not what was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a row of {table} came out differently from how it went in")]
pub struct LostRow {
    pub table: String,
}

/// Names the database that failed.
pub(super) fn on(database: &str) -> impl Fn(sqlx::Error) -> CopyError + use<> {
    let database = database.to_owned();
    move |source| CopyError::Database { database: database.clone(), source: Box::new(source) }
}
