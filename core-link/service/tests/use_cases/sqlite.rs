//! The files of a store on SQLite.

use std::{fs, os::unix::fs::PermissionsExt as _};

use postern_core::{
    sealing::MasterKey,
    store::{OpenError, Store, StoreError},
};
use sqlx::{Connection as _, SqliteConnection};

use crate::{
    place::Place,
    store::{notes, opened, write},
    support::Core,
};

#[tokio::test]
async fn what_is_no_database_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("core.db");
    let text = "this is no database, and nobody may make one of it\n".repeat(100);
    fs::write(&path, &text).unwrap();
    assert!(matches!(Store::open(&path, MasterKey::random()).await, Err(OpenError::Database { .. })));
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[tokio::test]
async fn while_another_process_writes_a_change_is_refused_without_effect() {
    let place = Place::new();
    let store = opened(&place).await;
    let mut other = SqliteConnection::connect(place.file().to_str().unwrap()).await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    assert!(matches!(write(&store, "refused").await, Err(StoreError::Unavailable { .. })));
    assert!(notes(&store).await.is_empty(), "reading goes on");
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    write(&store, "done").await.unwrap();
    assert_eq!(notes(&store).await, ["done"]);
}

#[tokio::test]
async fn after_closing_the_database_is_one_file() {
    let (place, backup) = (Place::new(), Place::new());
    let store = opened(&place).await;
    write(&store, "kept").await.unwrap();
    assert_eq!(notes(&store).await, ["kept"]);
    store.close().await;
    assert!(!place.folder.path().join("core.db-wal").exists());
    for file in ["core.db", "master.key"] {
        fs::copy(place.folder.path().join(file), backup.folder.path().join(file)).unwrap();
    }
    assert_eq!(notes(&opened(&backup).await).await, ["kept"]);
}

#[tokio::test]
async fn the_database_and_its_side_files_are_private() {
    let core = Core::with_joe().await;
    for name in ["core.db", "core.db-wal", "core.db-shm"] {
        let mode = fs::metadata(core.folder().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}
