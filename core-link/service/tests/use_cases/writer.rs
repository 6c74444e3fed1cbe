//! The one writer of a store on SQLite: groups, and a queue with an end.

use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use postern_core::store::StoreError;

use crate::{
    changes::hold,
    place::Place,
    store::{notes, opened, write},
};

#[tokio::test]
async fn a_group_of_changes_is_one_commit() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let _local = metrics::set_default_local_recorder(&recorder);
    let place = Place::new();
    let store = opened(&place).await;
    let (holder, held) = hold(&store);
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
async fn a_full_queue_refuses_at_once() {
    let place = Place::new();
    let store = opened(&place).await;
    let (holder, held) = hold(&store);
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
    let place = Place::new();
    let store = opened(&place).await;
    let (holder, held) = hold(&store);
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
