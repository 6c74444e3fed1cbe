//! The store by itself: what it refuses, and what lasts.

use postern_core::{
    activity::{self, Entry},
    sealing::MasterKey,
    session_keys,
    store::{OpenError, Store, StoreError, Tx},
};
use sqlx::{Connection as _, SqliteConnection};
use tempfile::TempDir;

use crate::support::{Core, cli};

pub(crate) async fn opened(folder: &TempDir) -> Store {
    let key_file = folder.path().join("master.key");
    let key = MasterKey::load(&key_file).or_else(|_| MasterKey::create(&key_file)).unwrap();
    Store::open(&folder.path().join("core.db"), key).await.unwrap()
}

pub(crate) async fn note(tx: &mut Tx, subject: &str) -> Result<(), StoreError> {
    tx.record(&Entry::done("note", &cli(), subject)).await
}

pub(crate) async fn notes(store: &Store) -> Vec<String> {
    let rows = store.read::<_, StoreError, _>(|tx| Box::pin(activity::newest(tx, 10_000))).await.unwrap();
    rows.into_iter().rev().map(|row| row.subject).collect()
}

pub(crate) async fn write(store: &Store, subject: &'static str) -> Result<(), StoreError> {
    store.write(move |tx| Box::pin(note(tx, subject))).await
}

#[tokio::test]
async fn a_reader_cannot_change_anything() {
    let folder = tempfile::tempdir().unwrap();
    let store = opened(&folder).await;
    assert!(store.read::<_, StoreError, _>(|tx| Box::pin(note(tx, "sneaky"))).await.is_err());
    assert!(notes(&store).await.is_empty());
}

#[tokio::test]
async fn another_master_key_does_not_open_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let store = opened(&folder).await;
    store.close().await;
    let path = folder.path().join("core.db");
    assert!(matches!(Store::open(&path, MasterKey::random()).await, Err(OpenError::OtherMasterKey { .. })));
    write(&opened(&folder).await, "still fine").await.unwrap();
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    opened(&folder).await.close().await;
    let path = folder.path().join("core.db");
    let mut other = SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (9999, 'from the future', TRUE, X'00', 0)";
    sqlx::query(newer).execute(&mut other).await.unwrap();
    other.close().await.unwrap();
    let key = MasterKey::load(&folder.path().join("master.key")).unwrap();
    assert!(matches!(Store::open(&path, key).await, Err(OpenError::Newer { migration: 9999, .. })));
}

#[tokio::test]
async fn what_is_no_database_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("core.db");
    let text = "this is no database, and nobody may make one of it\n".repeat(100);
    std::fs::write(&path, &text).unwrap();
    assert!(matches!(Store::open(&path, MasterKey::random()).await, Err(OpenError::Database { .. })));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[tokio::test]
async fn while_another_process_writes_a_change_is_refused_without_effect() {
    let folder = tempfile::tempdir().unwrap();
    let store = opened(&folder).await;
    let path = folder.path().join("core.db");
    let mut other = SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    assert!(matches!(write(&store, "refused").await, Err(StoreError::Unavailable { .. })));
    assert!(notes(&store).await.is_empty(), "reading goes on");
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    write(&store, "done").await.unwrap();
    assert_eq!(notes(&store).await, ["done"]);
}

#[tokio::test]
async fn activity_can_only_grow() {
    let folder = tempfile::tempdir().unwrap();
    let store = opened(&folder).await;
    write(&store, "note").await.unwrap();
    let path = folder.path().join("core.db");
    let mut other = SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
    assert!(sqlx::query("UPDATE activity SET subject = 'x'").execute(&mut other).await.is_err());
    assert!(sqlx::query("DELETE FROM activity").execute(&mut other).await.is_err());
    assert_eq!(notes(&store).await, ["note"]);
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let store = opened(&folder).await;
    store.close().await;
    assert!(matches!(write(&store, "late").await, Err(StoreError::Closed)));
    let read = store.read::<_, StoreError, _>(|tx| Box::pin(activity::newest(tx, 1))).await;
    assert!(matches!(read, Err(StoreError::Closed)));
}

#[tokio::test]
async fn after_closing_the_database_is_one_file() {
    let (folder, backup) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = opened(&folder).await;
    write(&store, "kept").await.unwrap();
    assert_eq!(notes(&store).await, ["kept"]);
    store.close().await;
    assert!(!folder.path().join("core.db-wal").exists());
    for file in ["core.db", "master.key"] {
        std::fs::copy(folder.path().join(file), backup.path().join(file)).unwrap();
    }
    assert_eq!(notes(&opened(&backup).await).await, ["kept"]);
}

#[tokio::test]
async fn instance_and_session_keys_survive_a_restart() {
    let core = Core::start().await;
    let before = session_keys::ring(&core.store).await.unwrap();
    let name = format!("{:?}", core.dispatcher);
    let core = core.restart().await;
    let after = session_keys::ring(&core.store).await.unwrap();
    assert_eq!((before.epoch, before.primary.id), (1, after.primary.id));
    assert_eq!(before.primary.key, after.primary.key);
    assert_eq!(format!("{:?}", core.dispatcher), name);
}
