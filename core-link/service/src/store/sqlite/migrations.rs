//! The schema's versions. A file that was once released is never edited.
//!
//! Runs on a connection of its own that does not follow references: a table that is made anew is dropped first, and
//! everything that refers to it would go with it.

use std::{borrow::Cow, path::Path};

use sqlx::{
    migrate::{MigrateError, Migration, MigrationType, Migrator},
    sqlite::SqliteConnectOptions,
};

use super::pool;
use crate::store::{OpenError, StoreError};

const FILES: [(i64, &str, &str); 10] = [
    (1, "start", include_str!("../../../migrations/sqlite/0001_start.sql")),
    (2, "edges", include_str!("../../../migrations/sqlite/0002_edges.sql")),
    (3, "hosts", include_str!("../../../migrations/sqlite/0003_hosts.sql")),
    (4, "mfa", include_str!("../../../migrations/sqlite/0004_mfa.sql")),
    (5, "polling", include_str!("../../../migrations/sqlite/0005_polling.sql")),
    (6, "mail", include_str!("../../../migrations/sqlite/0006_mail.sql")),
    (7, "openid", include_str!("../../../migrations/sqlite/0007_openid.sql")),
    (8, "phones", include_str!("../../../migrations/sqlite/0008_phones.sql")),
    (9, "web certificate", include_str!("../../../migrations/sqlite/0009_web_certificate.sql")),
    (10, "several Cores", include_str!("../../../migrations/sqlite/0010_several_cores.sql")),
];

/// The version that this program writes.
pub(in crate::store) const NEWEST: i64 = FILES[FILES.len() - 1].0;

/// Brings the file up to date, each migration in a transaction.
pub(super) async fn run(options: SqliteConnectOptions, path: &Path) -> Result<(), OpenError> {
    let failed =
        |source: sqlx::Error| OpenError::Database { database: path.display().to_string(), source: source.into() };
    let pool = pool(1).connect_with(options.foreign_keys(false)).await.map_err(failed)?;
    let migrations = FILES.iter().map(|&(version, description, sql)| {
        let sql = sqlx::SqlStr::from_static(sql);
        Migration::new(version, Cow::Borrowed(description), MigrationType::Simple, sql, false)
    });
    let outcome = Migrator::with_migrations(migrations.collect()).run(&pool).await;
    let dangling = sqlx::query("PRAGMA foreign_key_check").fetch_optional(&pool).await;
    pool.close().await;
    outcome.map_err(|error| {
        let database = path.display().to_string();
        if let MigrateError::VersionMissing(migration) = error {
            OpenError::Newer { database, migration }
        } else {
            OpenError::Migrate { database, source: Box::new(error) }
        }
    })?;
    match dangling.map_err(failed)? {
        None => Ok(()),
        Some(_) => Err(OpenError::Database {
            database: path.display().to_string(),
            source: StoreError::Damaged { table: "one that refers to another" },
        }),
    }
}
