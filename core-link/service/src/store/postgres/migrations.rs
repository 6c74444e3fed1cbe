//! The schema's versions, numbered as those of SQLite. A file that was once released is never edited.
//!
//! They only add, so that a Core of the last version goes on beside one of this. Two that start at once take turns:
//! sqlx holds a lock of the server while it migrates.

use std::borrow::Cow;

use sqlx::{
    PgConnection,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
};

use crate::store::{OpenError, ServerAddress};

const FILES: [(i64, &str, &str); 2] = [
    (9, "start", include_str!("../../../migrations/postgres/0009_start.sql")),
    (10, "several Cores", include_str!("../../../migrations/postgres/0010_several_cores.sql")),
];

/// Brings the database up to date, each migration in a transaction.
pub(super) async fn run(connection: &mut PgConnection, server: &ServerAddress) -> Result<(), OpenError> {
    let migrations = FILES.iter().map(|&(version, description, sql)| {
        let sql = sqlx::SqlStr::from_static(sql);
        Migration::new(version, Cow::Borrowed(description), MigrationType::Simple, sql, false)
    });
    let outcome = Migrator::with_migrations(migrations.collect()).run(connection).await;
    outcome.map_err(|error| {
        let database = server.to_string();
        if let MigrateError::VersionMissing(migration) = error {
            OpenError::Newer { database, migration }
        } else {
            OpenError::Migrate { database, source: Box::new(error) }
        }
    })
}
