//! The store by itself: what it refuses, and what lasts.

use postern_core::{
    activity::{self, Entry},
    sealing::MasterKey,
    session_keys,
    store::{OpenError, Store, StoreError, Tx},
};

use crate::{
    place::Place,
    support::{Core, cli},
};

pub(crate) async fn opened(place: &Place) -> Store {
    Store::open(place.address(), place.key()).await.unwrap()
}

pub(crate) async fn note(tx: &mut Tx, subject: &str) -> Result<(), StoreError> {
    tx.record(&Entry::done("note", &cli(), subject)).await
}

pub(crate) async fn notes(store: &Store) -> Vec<String> {
    let rows = store.read::<_, StoreError, _>(|tx| Box::pin(activity::newest(tx, 100_000))).await.unwrap();
    rows.into_iter().rev().map(|row| row.subject).collect()
}

pub(crate) async fn write(store: &Store, subject: &'static str) -> Result<(), StoreError> {
    store.write(move |tx| Box::pin(note(tx, subject))).await
}

#[tokio::test]
async fn a_reader_cannot_change_anything() {
    let place = Place::new();
    let store = opened(&place).await;
    assert!(store.read::<_, StoreError, _>(|tx| Box::pin(note(tx, "sneaky"))).await.is_err());
    assert!(notes(&store).await.is_empty());
}

#[tokio::test]
async fn another_master_key_does_not_open_the_database() {
    let place = Place::new();
    opened(&place).await.close().await;
    let other = Store::open(place.address(), MasterKey::random()).await;
    assert!(matches!(other, Err(OpenError::OtherMasterKey { .. })));
    write(&opened(&place).await, "still fine").await.unwrap();
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused() {
    let place = Place::new();
    opened(&place).await.close().await;
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (9999, 'from the future', TRUE, '', 0)";
    assert!(place.try_execute(newer).await);
    let newer = Store::open(place.address(), place.key()).await;
    assert!(matches!(newer, Err(OpenError::Newer { migration: 9999, .. })));
}

#[tokio::test]
async fn activity_can_only_grow() {
    let place = Place::new();
    let store = opened(&place).await;
    write(&store, "note").await.unwrap();
    assert!(!place.try_execute("UPDATE activity SET subject = 'x'").await);
    assert!(!place.try_execute("DELETE FROM activity").await);
    assert_eq!(notes(&store).await, ["note"]);
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let place = Place::new();
    let store = opened(&place).await;
    store.close().await;
    assert!(matches!(write(&store, "late").await, Err(StoreError::Closed)));
    let read = store.read::<_, StoreError, _>(|tx| Box::pin(activity::newest(tx, 1))).await;
    assert!(matches!(read, Err(StoreError::Closed)));
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
