//! The schema's versions. A file that was once released is never edited.

use std::{borrow::Cow, path::Path};

use sqlx::{
    SqlitePool,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
};

use crate::store::OpenError;

const FILES: [(i64, &str, &str); 2] = [
    (1, "start", include_str!("../../../migrations/sqlite/0001_start.sql")),
    (2, "edges", include_str!("../../../migrations/sqlite/0002_edges.sql")),
];

pub(super) async fn run(pool: &SqlitePool, path: &Path) -> Result<(), OpenError> {
    let migrations = FILES.iter().map(|&(version, description, sql)| {
        let sql = sqlx::SqlStr::from_static(sql);
        Migration::new(version, Cow::Borrowed(description), MigrationType::Simple, sql, false)
    });
    let outcome = Migrator::with_migrations(migrations.collect()).run(pool).await;
    outcome.map_err(|error| {
        let path = path.to_owned();
        if let MigrateError::VersionMissing(migration) = error {
            OpenError::Newer { path, migration }
        } else {
            OpenError::Migrate { path, source: Box::new(error) }
        }
    })
}
