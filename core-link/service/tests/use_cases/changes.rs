//! Changes: each whole or not at all, whatever becomes of it or of its neighbours.

use std::sync::Arc;

use postern_core::store::{Store, StoreError};
use tokio::sync::Notify;

use crate::{
    place::Place,
    store::{note, notes, opened, write},
};

/// A change that has begun and ends when it is let go.
pub(crate) struct Holder {
    begun: Arc<Notify>,
    release: Arc<Notify>,
}

impl Holder {
    pub(crate) async fn has_begun(&self) {
        self.begun.notified().await;
    }

    pub(crate) fn let_go(self) {
        self.release.notify_one();
    }
}

pub(crate) fn hold(store: &Store) -> (Holder, impl Future<Output = Result<(), StoreError>> + use<>) {
    let (release, begun) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (released, began) = (Arc::clone(&release), Arc::clone(&begun));
    let store = store.clone();
    let held = async move {
        let held = store.write(move |tx| {
            Box::pin(async move {
                began.notify_one();
                released.notified().await;
                note(tx, "held").await
            })
        });
        held.await
    };
    (Holder { begun, release }, held)
}

#[tokio::test]
async fn a_failing_and_a_panicking_job_harm_no_other() {
    let place = Place::new();
    let store = opened(&place).await;
    let (holder, held) = hold(&store);
    let panics = store.write::<(), StoreError, _>(|tx| {
        Box::pin(async move {
            note(tx, "panicked").await?;
            panic!("on purpose");
        })
    });
    let fails = store.write::<(), StoreError, _>(|tx| {
        Box::pin(async move {
            note(tx, "failed").await?;
            Err(StoreError::Closed)
        })
    });
    let release = async {
        holder.has_begun().await;
        holder.let_go();
    };
    let (held, before, panics, fails, after, ()) =
        tokio::join!(held, write(&store, "before"), panics, fails, write(&store, "after"), release);
    held.unwrap();
    before.unwrap();
    assert!(matches!(panics, Err(StoreError::Panicked)));
    assert!(matches!(fails, Err(StoreError::Closed)));
    after.unwrap();
    // On a server they need not wait for each other.
    let mut left = notes(&store).await;
    left.sort();
    assert_eq!(left, ["after", "before", "held"]);
}

#[tokio::test]
async fn a_job_that_takes_too_long_is_undone_and_the_next_one_runs() {
    let place = Place::new();
    let store = opened(&place).await;
    let stuck = store.write::<(), StoreError, _>(|tx| {
        Box::pin(async move {
            note(tx, "stuck").await?;
            std::future::pending().await
        })
    });
    assert!(matches!(stuck.await, Err(StoreError::TimedOut)));
    write(&store, "next").await.unwrap();
    assert_eq!(notes(&store).await, ["next"]);
}

#[test]
fn a_crash_in_the_middle_leaves_whole_changes_only() {
    let place = Place::new();
    let crashing = tokio::runtime::Runtime::new().unwrap();
    crashing.block_on(async {
        let store = opened(&place).await;
        write(&store, "committed").await.unwrap();
        let begun = Arc::new(Notify::new());
        let began = Arc::clone(&begun);
        let unfinished = store.write::<(), StoreError, _>(move |tx| {
            Box::pin(async move {
                note(tx, "half-made").await?;
                began.notify_one();
                std::future::pending().await
            })
        });
        tokio::select! {
            _ = unfinished => panic!("it cannot end"),
            () = begun.notified() => {}
        }
    });
    crashing.shutdown_background();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let store = opened(&place).await;
        assert_eq!(notes(&store).await, ["committed"]);
        write(&store, "goes on").await.unwrap();
    });
}

#[tokio::test]
async fn closing_finishes_what_has_begun() {
    let place = Place::new();
    let store = opened(&place).await;
    let (holder, held) = hold(&store);
    let close = async {
        holder.has_begun().await;
        holder.let_go();
        store.close().await;
    };
    let (held, queued, ()) = tokio::join!(held, write(&store, "queued"), close);
    held.unwrap();
    queued.unwrap();
    assert_eq!(notes(&opened(&place).await).await, ["held", "queued"]);
}
