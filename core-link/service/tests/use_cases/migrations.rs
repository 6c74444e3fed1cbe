//! A database that an older version wrote.

use std::borrow::Cow;

use postern_core::{
    clock::{Clock, Timestamp},
    device,
    sealing::MasterKey,
    store::{OpenError, Store, StoreError},
};
use sqlx::{
    AssertSqlSafe, Connection as _, SqliteConnection,
    migrate::{Migration, MigrationType, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode},
};
use tempfile::TempDir;

use crate::support::rows;

/// As the first version shipped them.
const BEFORE: [(i64, &str, &str); 2] = [
    (1, "start", include_str!("../../migrations/sqlite/0001_start.sql")),
    (2, "edges", include_str!("../../migrations/sqlite/0002_edges.sql")),
];

/// Two people, one with two devices, and a third person who is gone together with a device and a token.
const ROWS: &str = "
    INSERT INTO people (id, login, email, first_name, last_name, is_admin, password_hash, enrolled_at, created_at)
        VALUES (1, 'joe', 'joe@example.org', 'Joe', 'Doe', 0, '$argon2id$', 5, 1),
               (2, 'ann', 'ann@example.org', 'Ann', '', 1, NULL, NULL, 2),
               (3, 'bob', 'bob@example.org', 'Bob', '', 0, NULL, NULL, 3);
    INSERT INTO enrollment_tokens
            (id, person_id, digest, created_at, expires_at, session_ends_at, activated_at, mismatches)
        VALUES (4, 1, X'04', 1, 86401, 700, 650, 3), (5, 2, X'05', 2, 86402, NULL, NULL, 0),
               (9, 3, X'09', 3, 86403, NULL, NULL, 0);
    INSERT INTO locations VALUES (1, 'Office', 'vpn:51820', 'key', '10.0.0.0/8', '10.0.0.1', 'internal', 25, 1);
    INSERT INTO location_ranges VALUES (1, 0, '10.10.0.0/24', 1, 5, 254), (1, 1, 'fd00:10::/64', 1, 5, 4611686018427387904);
    INSERT INTO devices VALUES (6, 1, 'laptop', 'k6', 4, 10), (7, 1, 'phone', 'k7', NULL, 11), (12, 3, 'gone', 'k12', 9, 12);
    INSERT INTO device_addresses VALUES (1, 0, 2, 6), (1, 1, 2, 6), (1, 0, 3, 7), (1, 1, 3, 7);
    INSERT INTO released_addresses VALUES (1, 0, 4, 13), (1, 1, 4, 13);
    INSERT INTO polling_tokens VALUES (1, 6, X'A1', 20), (2, 6, X'A2', 21), (3, 7, X'A3', 22);
    INSERT INTO operations VALUES (X'B1', X'00', 90);
    INSERT INTO edges VALUES (1, 'edge-1', '192.0.2.1:50051', 1, 7, X'01', X'02', X'03', 6);
    INSERT INTO activity (at, event, actor, subject, outcome, detail) VALUES (1, 'person_added', 'cli', 'joe', 'done', '');
    DELETE FROM people WHERE id = 3;";

#[tokio::test]
async fn an_older_database_keeps_every_row_and_every_reference() {
    let folder = tempfile::tempdir().unwrap();
    let before = rows(&mut old_database(&folder).await).await;
    assert!(before.len() > 20, "{before:?}");

    open(&folder).await.unwrap().close().await;

    let mut database = connect(&folder).await;
    assert_eq!(rows(&mut database).await, before);
    assert!(sqlx::query("PRAGMA foreign_key_check").fetch_all(&mut database).await.unwrap().is_empty());
    sqlx::raw_sql("DELETE FROM people WHERE id = 1").execute(&mut database).await.unwrap();
    for table in ["devices", "device_addresses", "polling_tokens"] {
        let left: i64 = sqlx::query_scalar(AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}")))
            .fetch_one(&mut database)
            .await
            .unwrap();
        assert_eq!(left, 0, "{table}");
    }
}

#[tokio::test]
async fn tables_that_were_made_anew_have_all_their_indexes() {
    let folder = tempfile::tempdir().unwrap();
    old_database(&folder).await.close().await.unwrap();
    open(&folder).await.unwrap().close().await;
    let indexes: Vec<String> = sqlx::query_scalar(
        "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name IN ('devices', 'enrollment_tokens')
         AND sql IS NOT NULL ORDER BY name",
    )
    .fetch_all(&mut connect(&folder).await)
    .await
    .unwrap();
    let expected = [
        "devices_by_enrollment_token",
        "devices_by_person",
        "enrollment_tokens_by_expiry",
        "enrollment_tokens_by_host",
        "enrollment_tokens_by_person",
        "hosts_by_name",
    ];
    assert_eq!(indexes, expected);
}

/// Else whoever deletes a row looks through all rows of each table that refers to it, with 50,000 people for seconds.
#[tokio::test]
async fn every_reference_is_found_by_an_index() {
    let folder = tempfile::tempdir().unwrap();
    old_database(&folder).await.close().await.unwrap();
    open(&folder).await.unwrap().close().await;
    let unindexed: Vec<String> = sqlx::query_scalar(
        "SELECT t.name || '.' || f.\"from\" FROM sqlite_master AS t, pragma_foreign_key_list(t.name) AS f
         WHERE t.type = 'table' AND NOT EXISTS
            (SELECT 1 FROM pragma_index_list(t.name) AS i, pragma_index_info(i.name) AS c
             WHERE c.name = f.\"from\" AND c.seqno = f.seq)
         AND NOT EXISTS (SELECT 1 FROM pragma_table_info(t.name) AS c WHERE c.name = f.\"from\" AND c.pk = 1)",
    )
    .fetch_all(&mut connect(&folder).await)
    .await
    .unwrap();
    assert_eq!(unindexed, [""; 0]);
}

#[tokio::test]
async fn an_id_of_an_older_version_is_never_given_again() {
    for emptied in ["", "DELETE FROM devices; DELETE FROM enrollment_tokens;"] {
        let folder = tempfile::tempdir().unwrap();
        let mut old = old_database(&folder).await;
        sqlx::raw_sql(emptied).execute(&mut old).await.unwrap();
        old.close().await.unwrap();
        let store = open(&folder).await.unwrap();
        let mut database = connect(&folder).await;
        let next = "INSERT INTO enrollment_tokens (person_id, digest, created_at, expires_at)
                    VALUES (2, X'FF', 1, 2) RETURNING id";
        let token: i64 = sqlx::query_scalar(next).fetch_one(&mut database).await.unwrap();
        let next = "INSERT INTO devices (name, created_at) VALUES ('host', 1) RETURNING id";
        let device: i64 = sqlx::query_scalar(next).fetch_one(&mut database).await.unwrap();
        assert_eq!((token, device), (10, 13));
        store.close().await;
    }
}

#[tokio::test]
async fn a_migration_that_fails_in_the_middle_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut old = old_database(&folder).await;
    // Met when the devices have been made anew already.
    sqlx::raw_sql("CREATE TABLE enrollment_tokens_new (obstacle INTEGER)").execute(&mut old).await.unwrap();
    let before = (schema(&mut old).await, rows(&mut old).await);
    old.close().await.unwrap();

    assert!(matches!(open(&folder).await, Err(OpenError::Migrate { .. })));

    let mut old = connect(&folder).await;
    assert_eq!((schema(&mut old).await, rows(&mut old).await), before);
    sqlx::raw_sql("DROP TABLE enrollment_tokens_new").execute(&mut old).await.unwrap();
    old.close().await.unwrap();
    let store = open(&folder).await.unwrap();
    let devices = store.read::<_, StoreError, _>(|tx| Box::pin(device::list(tx, Some("joe")))).await.unwrap();
    assert_eq!(devices.len(), 2);
    assert_eq!(devices[0].addresses, ["10.10.0.2", "fd00:10::2"]);
}

#[tokio::test]
async fn a_core_killed_while_it_migrates_starts_over() {
    let (folder, left) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut old = old_database(&folder).await;
    let before = rows(&mut old).await;
    // A cache of one page makes SQLite write before the commit, as it must when memory is short.
    let half = include_str!("../../migrations/sqlite/0003_hosts.sql").split("DROP TABLE enrollment_tokens;").next();
    let half = format!("PRAGMA cache_size = 1; PRAGMA foreign_keys = OFF; BEGIN; {}", half.unwrap());
    sqlx::raw_sql(AssertSqlSafe(half)).execute(&mut old).await.unwrap();
    for file in ["core.db", "core.db-wal", "master.key"] {
        std::fs::copy(folder.path().join(file), left.path().join(file)).unwrap();
    }
    assert_eq!(rows(&mut connect(&left).await).await, before);
    open(&left).await.unwrap().close().await;
    assert_eq!(rows(&mut connect(&left).await).await, before);
}

/// A database of the first version with something in every table.
async fn old_database(folder: &TempDir) -> SqliteConnection {
    MasterKey::create(&folder.path().join("master.key")).unwrap();
    let mut database = connect(folder).await;
    let migrations = BEFORE.iter().map(|&(version, description, sql)| {
        let sql = sqlx::SqlStr::from_static(sql);
        Migration::new(version, Cow::Borrowed(description), MigrationType::Simple, sql, false)
    });
    Migrator::with_migrations(migrations.collect()).run(&mut database).await.unwrap();
    sqlx::raw_sql(ROWS).execute(&mut database).await.unwrap();
    database
}

async fn open(folder: &TempDir) -> Result<Store, OpenError> {
    let key = MasterKey::load(&folder.path().join("master.key")).unwrap();
    // Before anything in there expires.
    let clock = Clock::new(|| Timestamp::from_unix(50));
    Store::open_with_clock(&folder.path().join("core.db"), key, clock).await
}

async fn connect(folder: &TempDir) -> SqliteConnection {
    let options = SqliteConnectOptions::new()
        .filename(folder.path().join("core.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .foreign_keys(true);
    SqliteConnection::connect_with(&options).await.unwrap()
}

/// Each row of each table of the old version, in the columns that it had.
async fn rows(database: &mut SqliteConnection) -> Vec<String> {
    let mut old = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    for (_, _, sql) in BEFORE {
        sqlx::raw_sql(sql).execute(&mut old).await.unwrap();
    }
    // The first start of Core makes the check of the master key.
    let tables = rows::tables(&mut old, &["master_key_check"]).await;
    rows::rows(database, &tables).await
}

async fn schema(database: &mut SqliteConnection) -> Vec<String> {
    let schema = "SELECT name || COALESCE(sql, '') FROM sqlite_master ORDER BY name";
    sqlx::query_scalar(schema).fetch_all(database).await.unwrap()
}
