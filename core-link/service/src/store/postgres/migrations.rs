//! The schema's versions, numbered together with those of SQLite: what only one of them needs has no file for the other. A file
//! that was once released is never edited.
//!
//! They only add, so that a Core of the last version goes on beside one of this. Two that start at once take turns: sqlx
//! holds a lock of the server while it migrates.

use std::borrow::Cow;

use sqlx::{
    PgConnection,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
};

use crate::store::{OpenError, ServerAddress};

/// After the first: tables, indexes, and columns that may be NULL or have a default. Nobody reads `SELECT *`. A
/// constraint comes a version later than the code that keeps it, and what nobody uses any more goes a version later than
/// the code that used it; the test below then says why it may.
const FILES: [(i64, &str, &str); 3] = [
    (9, "start", include_str!("../../../migrations/postgres/0009_start.sql")),
    (10, "several Cores", include_str!("../../../migrations/postgres/0010_several_cores.sql")),
    (11, "room for changes", include_str!("../../../migrations/postgres/0011_room_for_changes.sql")),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What a Core of the last version could not go on with, and what would hold it up.
    const REFUSED: [&str; 14] = [
        "DROP ",
        "RENAME ",
        " TYPE ",
        "SET NOT NULL",
        "ADD CONSTRAINT",
        "ADD CHECK",
        "ADD UNIQUE",
        "ADD FOREIGN",
        "ADD PRIMARY",
        "CREATE UNIQUE INDEX",
        "TRUNCATE",
        "DELETE FROM",
        "UPDATE ",
        "LOCK TABLE",
    ];

    /// The statements, or their parts, that do not only add.
    fn breaking(sql: &str) -> Vec<String> {
        let code: Vec<&str> = sql.lines().map(|line| line.split("--").next().unwrap_or_default()).collect();
        let code = code.join(" ").to_uppercase();
        let statements = code.split(';').map(|statement| statement.split_whitespace().collect::<Vec<_>>().join(" "));
        let statements: Vec<String> = statements.filter(|statement| !statement.is_empty()).collect();
        let made = |table: &str| statements.iter().any(|other| other.starts_with(&format!("CREATE TABLE {table} ")));
        let breaks = |statement: &&String| {
            // Whatever a table has from its beginning, nobody knew it without.
            let mut words = statement.split_whitespace();
            let of_new_table = words.any(|word| word == "ON" || word == "TABLE") && words.next().is_some_and(made);
            let adds_strictly = statement.contains("ADD COLUMN")
                && (statement.contains("NOT NULL") && !statement.contains("DEFAULT") || statement.contains("UNIQUE"));
            !of_new_table && (adds_strictly || REFUSED.iter().any(|refused| statement.contains(refused)))
        };
        statements.iter().filter(breaks).cloned().collect()
    }

    #[test]
    fn a_migration_only_adds() {
        for (version, name, sql) in &FILES[1..] {
            assert_eq!(breaking(sql), Vec::<String>::new(), "{version} {name}");
        }
    }

    #[test]
    fn what_does_not_only_add_is_found() {
        for sql in [
            "DROP TABLE people",
            "ALTER TABLE people RENAME COLUMN login TO name",
            "ALTER TABLE people ALTER COLUMN login TYPE BYTEA",
            "ALTER TABLE people ALTER phone SET NOT NULL",
            "ALTER TABLE people ADD COLUMN\n    age BIGINT NOT NULL -- DEFAULT 7",
            "ALTER TABLE people ADD COLUMN age BIGINT UNIQUE",
            "ALTER TABLE people ADD CONSTRAINT adult CHECK (age > 17)",
            "CREATE UNIQUE INDEX people_by_phone ON people (phone)",
            "CREATE TABLE pets (id BIGINT); UPDATE people SET phone = NULL",
        ] {
            assert_eq!(breaking(sql).len(), 1, "{sql}");
        }
        for sql in [
            "ALTER TABLE people ADD COLUMN age BIGINT NOT NULL DEFAULT 0",
            "ALTER TABLE people ADD COLUMN age BIGINT",
            "CREATE INDEX people_by_phone ON people (phone)",
            "CREATE TABLE pets (id BIGINT NOT NULL UNIQUE); CREATE UNIQUE INDEX pets_by_id ON pets (id)",
        ] {
            assert_eq!(breaking(sql), Vec::<String>::new(), "{sql}");
        }
    }
}
