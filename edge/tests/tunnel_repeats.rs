//! Over real tunnels: what is asked again when a Core goes away, and what Core hears when nobody waits any more.
//!
//! Each rule by itself is proved without sockets, in `src/core_client/tests`.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::{Duration, Instant};

use postern_edge::{
    core_client::{CallError, CoreClient},
    testing::{Answer, FakeCore, FakeTunnel, TestEdge, adopted_edge, empty, eventually},
};
use postern_proto::{client_types::ActivateUserRequest, proxy::CoreRequest};
use tempfile::TempDir;
use tokio::task::JoinSet;

const BUDGET: Duration = Duration::from_secs(4);

#[tokio::test]
async fn calls_of_a_core_that_dies_are_answered_by_the_other() {
    let core = FakeCore::new();
    let edge = Edge::adopted_by(&core).await;
    let dying = edge.tunnel(&core, |_| Answer::Nothing).await;
    let mut calls = edge.start(20);
    let lost = dying.requests(20).await;
    let other = edge.tunnel(&core.sibling(), |_| empty()).await;
    dying.hang_up().await;
    while let Some(outcome) = calls.join_next().await {
        assert_eq!(outcome.unwrap(), Ok(()));
    }
    assert_eq!(operations(&other.requests(20).await), operations(&lost), "as the same operations");
    edge.expect_no_slot_held().await;
}

#[tokio::test]
async fn calls_of_a_core_that_freezes_are_answered_by_the_other_and_called_off() {
    let core = FakeCore::new();
    let edge = Edge::adopted_by(&core).await;
    let frozen = edge.tunnel(&core, |_| Answer::Nothing).await;
    let begun = Instant::now();
    let mut calls = edge.start(1);
    frozen.requests(1).await;
    let other = edge.tunnel(&core.sibling(), |_| empty()).await;
    frozen.mute();
    assert_eq!(calls.join_next().await.unwrap().unwrap(), Ok(()));
    assert!(begun.elapsed() < BUDGET, "{:?}", begun.elapsed());
    assert_eq!(other.request_count(), 1);
    assert!(!frozen.has_ended(), "nobody had to wait for the end of the tunnel");
    edge.expect_no_slot_held().await;
}

#[tokio::test]
async fn a_stock_core_that_dies_takes_what_may_have_had_an_effect_with_it() {
    let core = FakeCore::stock();
    let edge = Edge::adopted_by(&core).await;
    let dying = edge.tunnel(&core, |_| Answer::Nothing).await;
    let mut calls = edge.start(1);
    dying.requests(1).await;
    let other = edge.tunnel(&core, |_| empty()).await;
    dying.hang_up().await;
    assert_eq!(calls.join_next().await.unwrap().unwrap(), Err(CallError::TunnelLost));
    assert_eq!(other.request_count(), 0);
}

#[tokio::test]
async fn core_hears_of_each_caller_that_leaves() {
    let core = FakeCore::new();
    let edge = Edge::adopted_by(&core).await;
    let tunnel = edge.tunnel(&core, |_| Answer::Nothing).await;
    let mut calls = edge.start(20);
    let mut asked: Vec<_> = tunnel.requests(20).await.iter().map(|request| request.id).collect();
    calls.shutdown().await;
    eventually("core hears of each", || tunnel.cancelled().len() == 20).await;
    let mut cancelled = tunnel.cancelled();
    cancelled.sort_unstable();
    asked.sort_unstable();
    assert_eq!(cancelled, asked);
    edge.expect_no_slot_held().await;
}

struct Edge {
    edge: TestEdge,
    _folder: TempDir,
}

impl Edge {
    async fn adopted_by(core: &FakeCore) -> Self {
        let folder = TempDir::new().unwrap();
        let edge = adopted_edge(folder.path(), core).await;
        Self { edge, _folder: folder }
    }

    async fn tunnel(
        &self,
        core: &FakeCore,
        answers: impl Fn(&CoreRequest) -> Answer + Send + Sync + 'static,
    ) -> FakeTunnel {
        let before = self.edge.registry.tunnel_count();
        let tunnel = core.connect(self.edge.address, answers).await;
        eventually("the tunnel is up", || self.edge.registry.tunnel_count() == before + 1).await;
        tunnel
    }

    /// Calls that take effect.
    fn start(&self, count: usize) -> JoinSet<Result<(), CallError>> {
        (0..count).map(|_| activate(self.edge.client.clone())).collect()
    }

    async fn expect_no_slot_held(&self) {
        eventually("no slot is held", || self.edge.registry.in_flight() == 0).await;
    }
}

async fn activate(client: CoreClient) -> Result<(), CallError> {
    client.call(ActivateUserRequest::default(), TestEdge::context(BUDGET)).await
}

fn operations(requests: &[CoreRequest]) -> Vec<String> {
    let mut operations: Vec<_> =
        requests.iter().map(|request| request.context.as_ref().unwrap().operation_id.clone()).collect();
    operations.sort();
    operations
}
