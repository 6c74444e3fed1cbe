//! The store's one writer: groups, panics, crashes.

use std::{sync::Arc, time::Duration};

use metrics_exporter_prometheus::PrometheusBuilder;
use postern_core::store::{Store, StoreError};
use tokio::sync::Notify;

use crate::store::{note, notes, opened, write};

/// Occupies the writer until it is let go, so that others queue up behind.
struct Holder {
    begun: Arc<Notify>,
    release: Arc<Notify>,
}

impl Holder {
    async fn has_begun(&mut self) {
        self.begun.notified().await;
    }

    fn let_go(self) {
        self.release.notify_one();
    }
}

fn hold(store: &Store) -> (Holder, impl Future<Output = Result<(), StoreError>> + use<>) {
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
async fn a_group_of_changes_is_one_commit() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let _local = metrics::set_default_local_recorder(&recorder);
    let folder = tempfile::tempdir().unwrap();
    let store = opened(&folder).await;
    let (mut holder, held) = hold(&store);
    let changes = futures::future::join_all((0..100).map(|_| write(&store, "note")));
    let release = async {
        holder.has_begun().await;
        holder.let_go();
    };
    let (held, changes, ()) = tokio::join!(held, changes, release);
    held.unwrap();
    assert!(changes.iter().all(Result::is_ok));
    let text = handle.render();
    let count = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name} in {text}"));
        line.rsplit(' ').next().unwrap().parse::<u32>().unwrap()
    };
    assert_eq!(count("postern_core_store_jobs_total"), 102, "the master key check, the holder and 100 changes");
    let commits = count("postern_core_store_commits_total");
    assert!(commits <= 3, "{commits} commits");
    assert_eq!(notes(&store).await.len(), 101);
}

#[tokio::test]
async fn a_failing_and_a_panicking_job_harm_no_other_of_their_group() {
    let folder = tempfile::tempdir().unwrap();
    let store = opened(&folder).await;
    let (mut holder, held) = hold(&store);
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
    assert_eq!(notes(&store).await, ["held", "before", "after"]);
}

#[tokio::test]
async fn a_job_that_takes_too_long_is_undone_and_the_next_one_runs() {
    let folder = tempfile::tempdir().unwrap();
    let store = opened(&folder).await;
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

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = opened(&folder).await;
    let (mut holder, held) = hold(&store);
    let changes = futures::future::join_all((0..2000).map(|_| write(&store, "note")));
    let release = async {
        holder.has_begun().await;
        holder.let_go();
    };
    let (held, changes, ()) = tokio::join!(held, changes, release);
    held.unwrap();
    let refused = changes.iter().filter(|change| matches!(change, Err(StoreError::Overloaded))).count();
    let done = changes.iter().filter(|change| change.is_ok()).count();
    assert!(refused > 0 && refused + done == 2000, "{refused} refused, {done} done");
    assert_eq!(notes(&store).await.len(), done + 1);
}

#[tokio::test]
async fn a_change_whose_caller_left_before_it_began_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let store = opened(&folder).await;
    let (mut holder, held) = hold(&store);
    let left = async {
        holder.has_begun().await;
        // Queued behind the holder, then given up.
        let given_up = tokio::time::timeout(Duration::ZERO, write(&store, "given up")).await;
        assert!(given_up.is_err());
        holder.let_go();
    };
    let (held, ()) = tokio::join!(held, left);
    held.unwrap();
    write(&store, "after").await.unwrap();
    assert_eq!(notes(&store).await, ["held", "after"]);
}

#[test]
fn a_crash_in_the_middle_leaves_whole_changes_only() {
    let folder = tempfile::tempdir().unwrap();
    let crashing = tokio::runtime::Runtime::new().unwrap();
    crashing.block_on(async {
        let store = opened(&folder).await;
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
        let store = opened(&folder).await;
        assert_eq!(notes(&store).await, ["committed"]);
        write(&store, "goes on").await.unwrap();
    });
}

#[tokio::test]
async fn closing_finishes_what_is_queued() {
    let folder = tempfile::tempdir().unwrap();
    let store = opened(&folder).await;
    let (mut holder, held) = hold(&store);
    let close = async {
        holder.has_begun().await;
        holder.let_go();
        store.close().await;
    };
    let (held, queued, ()) = tokio::join!(held, write(&store, "queued"), close);
    held.unwrap();
    queued.unwrap();
    assert_eq!(notes(&opened(&folder).await).await, ["held", "queued"]);
}
