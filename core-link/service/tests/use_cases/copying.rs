//! A store on SQLite that is copied to a real Postgres.

mod full;
mod large;
mod reading;

use std::{fs, path::PathBuf};

use postern_core::{
    sealing::MasterKey,
    secret::Secret,
    store::{Copied, CopyError, ServerAddress, copy},
};
use tempfile::TempDir;

use self::{
    full::full_store,
    reading::{rows_on_postgres, rows_on_sqlite},
};
use crate::{
    mfa::support::passed,
    place::{Database, Place},
    support::{Core, configured, key, new_device, poll},
};

/// A store that nobody uses, and where it goes.
struct Move {
    folder: TempDir,
    database: Database,
}

impl Move {
    /// Of a store that holds hardly anything.
    async fn of_little() -> Self {
        let core = Core::with_joe().await;
        Self::of(&core).await
    }

    async fn of(core: &Core) -> Self {
        core.store.close().await;
        let folder = tempfile::tempdir().unwrap();
        for name in ["core.db", "master.key"] {
            fs::copy(core.folder().join(name), folder.path().join(name)).unwrap();
        }
        Self { folder, database: Database::create() }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("core.db")
    }

    fn key_file(&self) -> PathBuf {
        self.folder.path().join("master.key")
    }

    async fn copy(&self) -> Result<Copied, CopyError> {
        let key = MasterKey::load(&self.key_file()).unwrap();
        let server = ServerAddress::parse(Secret::new(self.database.url())).unwrap();
        copy(&self.file(), &server, &key).await
    }

    /// Past Core.
    async fn change(&self, statements: &'static str) {
        reading::change(&self.file(), statements).await;
    }
}

#[tokio::test]
async fn every_value_of_every_table_arrives() {
    let (core, _joe) = full_store().await;
    let moving = Move::of(&core).await;
    let before = fs::read(moving.file()).unwrap();

    let copied = moving.copy().await.unwrap();

    assert!(!copied.was_there);
    let empty: Vec<_> = copied.tables.iter().filter(|(_, rows)| *rows == 0).collect();
    assert!(empty.is_empty(), "a table that this test does not fill: {empty:?}");
    let (here, there) = (rows_on_sqlite(&moving.file()).await, rows_on_postgres(&moving.database.url()).await);
    assert_eq!(here.len() as u64, copied.tables.iter().map(|(_, rows)| rows).sum::<u64>());
    for (one, other) in here.iter().zip(&there) {
        assert_eq!(one, other);
    }
    assert_eq!(here.len(), there.len());
    assert_eq!(fs::read(moving.file()).unwrap(), before, "the file is only read");
}

#[tokio::test]
async fn a_core_on_the_copy_goes_on_where_the_old_one_ended() {
    let (core, joe) = full_store().await;
    let token = core.session("joe").await;
    let made = configured(core.ask_as("operation-3", new_device(&token, "tablet", &key(77))).await);
    let moving = Move::of(&core).await;
    moving.copy().await.unwrap();
    let newest = reading::newest_ids(&moving.file()).await;
    let Move { folder, database } = moving;
    core.wait(30);

    let core = core.moved(Place::with_key(&folder.path().join("master.key"), database)).await;

    passed(core.show(&joe, &core.code(&joe.seed)).await);
    core.ask(poll(&joe.polling_token)).await.unwrap();
    let again = configured(core.ask_as("operation-3", new_device(&token, "tablet", &key(77))).await);
    assert_eq!(made, again, "the operation is remembered, down to the polling token");
    let device = configured(core.ask(new_device(&token, "watch", &key(78))).await).device.unwrap().id;
    assert!(device > newest["devices"], "{device} was given before: {newest:?}");
}

#[tokio::test]
async fn numbers_that_were_once_given_are_never_given_again() {
    let (core, _joe) = full_store().await;
    let moving = Move::of(&core).await;
    moving.copy().await.unwrap();
    let newest = reading::newest_ids(&moving.file()).await;
    let next = reading::next_ids(&moving.database.url()).await;
    assert!(newest.len() > 5, "{newest:?}");
    for (table, newest) in &newest {
        assert_eq!(next[table], newest + 1, "{table}");
    }
    assert_eq!(next.len(), newest.len() + 1, "and the one of familiar networks: {next:?}");
}

#[tokio::test]
async fn a_second_copy_finds_everything_and_changes_nothing() {
    let moving = Move::of_little().await;
    let first = moving.copy().await.unwrap();
    let there = rows_on_postgres(&moving.database.url()).await;
    let second = moving.copy().await.unwrap();
    assert_eq!((second.was_there, second.tables), (true, first.tables));
    assert_eq!(rows_on_postgres(&moving.database.url()).await, there);
}

#[tokio::test]
async fn a_database_that_holds_anything_else_is_left_alone() {
    for change in [
        "UPDATE people SET phone = '+48' WHERE id = 1",
        "DELETE FROM session_keys",
        "INSERT INTO changes VALUES ('weather', 1)",
        "UPDATE location_ranges SET next_offset = next_offset + 1",
    ] {
        let moving = Move::of_little().await;
        moving.copy().await.unwrap();
        moving.database.execute(change).unwrap();
        let there = rows_on_postgres(&moving.database.url()).await;
        let again = moving.copy().await;
        assert!(matches!(again, Err(CopyError::NotEmpty { .. })), "{change}: {again:?}");
        assert_eq!(rows_on_postgres(&moving.database.url()).await, there);
    }
}

#[tokio::test]
async fn what_postgres_cannot_keep_is_named_and_nothing_arrives() {
    for (change, place) in [
        (
            "UPDATE people SET last_name = 'a' || char(0) || 'b'",
            "people.last_name cannot be kept in Postgres: it holds a zero byte (row 1)",
        ),
        (
            "UPDATE people SET first_name = CAST(X'ff' AS TEXT)",
            "people.first_name cannot be kept in Postgres: it is no UTF-8 (row 1)",
        ),
        (
            "UPDATE people SET is_admin = 2",
            "people.is_admin cannot be kept in Postgres: it is neither true nor false (row 1)",
        ),
        (
            "UPDATE locations SET keepalive_seconds = 'x'",
            "locations.keepalive_seconds cannot be kept in Postgres: it is of another type (row 1)",
        ),
        (
            "UPDATE locations SET keepalive_seconds = 1.5",
            "locations.keepalive_seconds cannot be kept in Postgres: it is of another type (row 1)",
        ),
        (
            "UPDATE locations SET name = X'00'",
            "locations.name cannot be kept in Postgres: it is of another type (row 1)",
        ),
    ] {
        let moving = Move::of_little().await;
        moving.change(change).await;
        let error = moving.copy().await.unwrap_err();
        assert_eq!(error.to_string(), format!("a value in {place}"), "{change}");
        assert!(rows_on_postgres(&moving.database.url()).await.is_empty());
    }
}

#[tokio::test]
async fn a_table_or_column_that_only_one_of_both_has_stops_the_copy() {
    for change in [
        "ALTER TABLE people DROP COLUMN phone",
        "ALTER TABLE people ADD COLUMN nickname TEXT",
        "CREATE TABLE weather (id BIGINT PRIMARY KEY)",
        "DROP TABLE leases",
        "ALTER TABLE people ALTER COLUMN phone TYPE BYTEA USING NULL",
        "ALTER TABLE changes DROP CONSTRAINT changes_pkey",
    ] {
        let moving = Move::of_little().await;
        reading::make_schema(&moving.database.url()).await;
        moving.database.execute(change).unwrap();
        let copied = moving.copy().await;
        assert!(matches!(copied, Err(CopyError::Schema { .. })), "{change}: {copied:?}");
    }
}

#[tokio::test]
async fn a_file_of_another_version_or_key_is_refused_in_one_sentence() {
    for (change, sentence) in [
        ("DELETE FROM _sqlx_migrations WHERE version = 10", "an older version wrote the database"),
        ("DROP TABLE _sqlx_migrations", "an older version wrote the database"),
        ("UPDATE _sqlx_migrations SET version = 9999 WHERE version = 10", "a newer version wrote the database"),
        ("DELETE FROM master_key_check", "belongs to another master key"),
    ] {
        let moving = Move::of_little().await;
        moving.change(change).await;
        let error = moving.copy().await.unwrap_err().to_string();
        assert!(error.contains(sentence), "{change}: {error}");
    }
    let moving = Move::of_little().await;
    fs::remove_file(moving.key_file()).unwrap();
    MasterKey::create(&moving.key_file()).unwrap();
    assert!(matches!(moving.copy().await, Err(CopyError::OtherMasterKey { .. })));
    fs::remove_file(moving.file()).unwrap();
    assert!(matches!(moving.copy().await, Err(CopyError::NoSource { .. })));
    assert!(!moving.file().exists());
}

#[tokio::test]
async fn a_database_that_a_core_has_begun_is_left_alone() {
    let moving = Move::of_little().await;
    let core = Core::with_joe().await;
    let core = core.moved(Place::with_key(&moving.key_file(), Database::create())).await;
    let url = core.server().unwrap().url();
    let server = ServerAddress::parse(Secret::new(url)).unwrap();
    let copied = copy(&moving.file(), &server, &MasterKey::load(&moving.key_file()).unwrap()).await;
    assert!(matches!(copied, Err(CopyError::NotEmpty { .. })), "{copied:?}");
}

#[tokio::test]
async fn a_database_that_somebody_holds_is_left_alone() {
    let moving = Move::of_little().await;
    reading::make_schema(&moving.database.url()).await;
    let held = reading::hold(&moving.database.url(), "LOCK TABLE people IN ACCESS SHARE MODE").await;
    let copied = moving.copy().await;
    assert!(matches!(copied, Err(CopyError::InUse { .. })), "{copied:?}");
    drop(held);
    moving.copy().await.unwrap();
}
