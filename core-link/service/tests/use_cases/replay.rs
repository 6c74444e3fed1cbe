//! The replay memory by itself.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use postern_core::{
    activity::Entry,
    clock::{Clock, Timestamp},
    store::{Operation, Outcome, Replay, Store, StoreError},
};
use tokio::time::sleep;

use crate::{
    place::Place,
    store::{note, notes, opened},
    support::{Core, cli},
};

/// Sweepers look every two seconds.
const SWEEPS: Duration = Duration::from_secs(3);
/// So many changes at once that some always wait.
const MORE_THAN_A_GROUP: usize = 300;

#[derive(Debug, PartialEq)]
struct Text(String);

impl Replay for Text {
    fn to_stored(&self) -> Vec<u8> {
        self.0.clone().into_bytes()
    }

    fn from_stored(stored: &[u8]) -> Option<Self> {
        String::from_utf8(stored.to_vec()).ok().map(Self)
    }
}

fn operation() -> Option<Operation> {
    Some(Operation { id: "one".to_owned(), kind: "test", payload: b"payload".to_vec() })
}

#[tokio::test]
async fn an_operation_that_failed_or_panicked_runs_again() {
    let place = Place::new();
    let store = opened(&place).await;
    let failed = store.operate(operation(), |tx| {
        Box::pin(async move {
            note(tx, "failed").await.unwrap();
            Outcome::Fail(Text("try again".to_owned()))
        })
    });
    assert_eq!(failed.await.unwrap(), Text("try again".to_owned()));
    let panicked = store.operate::<Text, _>(operation(), |_| Box::pin(async { panic!("on purpose") }));
    assert!(matches!(panicked.await, Err(StoreError::Panicked)));
    let runs = Arc::new(AtomicUsize::new(0));
    for _ in 0..2 {
        let runs = Arc::clone(&runs);
        let done = store.operate(operation(), move |tx| {
            Box::pin(async move {
                runs.fetch_add(1, Ordering::SeqCst);
                note(tx, "done").await.unwrap();
                Outcome::Commit(Text("done".to_owned()))
            })
        });
        assert_eq!(done.await.unwrap(), Text("done".to_owned()));
    }
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    assert_eq!(notes(&store).await, ["done"]);
}

#[tokio::test]
async fn a_refused_operation_leaves_its_row_and_nothing_else() {
    let place = Place::new();
    let store = opened(&place).await;
    for _ in 0..2 {
        let refused = store.operate(operation(), |tx| {
            Box::pin(async move {
                note(tx, "effect").await.unwrap();
                Outcome::Refuse(Text("no".to_owned()), Entry::refused("note", &cli(), "refusal"))
            })
        });
        assert_eq!(refused.await.unwrap(), Text("no".to_owned()));
    }
    assert_eq!(notes(&store).await, ["refusal"]);
}

#[tokio::test]
async fn what_has_expired_is_deleted_however_much_there_is_to_do() {
    let place = Place::new();
    let now = Arc::new(AtomicUsize::new(1000));
    let told = Arc::clone(&now);
    let clock = Clock::new(move || Timestamp::from_unix(told.load(Ordering::SeqCst).try_into().unwrap()));
    let store = Store::open_with_clock(place.address(), place.key(), clock).await.unwrap();
    let done = store.operate(operation(), |_| Box::pin(async { Outcome::Commit(Text("done".to_owned())) }));
    done.await.unwrap();
    assert_eq!(remembered(&place).await, 1);
    now.fetch_add(600, Ordering::SeqCst);
    let swept = async {
        while remembered(&place).await > 0 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    let swept = tokio::time::timeout(Duration::from_secs(20), swept);
    tokio::select! {
        swept = swept => swept.expect("the sweeper runs every two seconds"),
        _never = futures::future::join_all((0..MORE_THAN_A_GROUP).map(|_| change_for_ever(&store))) => {}
    }
}

#[tokio::test]
async fn a_store_that_nobody_uses_is_not_written_to() {
    let core = Core::with_joe().await;
    let mut watcher = core.watcher().await;
    let before = watcher.look().await;
    // The leases of sweepers would be half over, and over.
    for _ in 0..3 {
        core.wait(8);
        sleep(SWEEPS).await;
    }
    assert_eq!(watcher.look().await, before);
}

async fn change_for_ever(store: &Store) {
    loop {
        store.write::<_, StoreError, _>(|_| Box::pin(async { Ok(()) })).await.unwrap();
    }
}

async fn remembered(place: &Place) -> i64 {
    place.count("SELECT COUNT(*) FROM operations").await
}
