//! Which tunnel a request takes: supersession, draining, avoidance, several Cores.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use postern_edge::{
    core_client::CallError,
    testing::{Answer, FakeCore, FakeTunnel, TestEdge, adopted_edge, eventually},
    tunnel::registry::ServerState,
};
use postern_proto::{
    client_types::{InstanceInfoRequest, InstanceInfoResponse},
    link::{Draining, Probe},
    proxy::{CoreRequest, core_response::Payload},
};
use tempfile::TempDir;

const SOON: Duration = Duration::from_secs(4);

#[tokio::test]
async fn a_new_tunnel_of_the_same_core_takes_the_new_requests() {
    let core = FakeCore::new();
    let edge = Edge::adopted_by(&core).await;
    let old = edge.tunnel(&core, poll_reply).await;
    let new = edge.tunnel(&core, poll_reply).await;
    edge.poll_times(10).await;
    assert_eq!((old.request_count(), new.request_count()), (0, 10));
}

#[tokio::test]
async fn a_superseded_tunnel_finishes_what_it_holds() {
    let core = FakeCore::new();
    let edge = Edge::adopted_by(&core).await;
    let old = edge.tunnel(&core, |_| Answer::Nothing).await;
    let client = edge.edge.client.clone();
    let waiting = tokio::task::JoinSet::from_iter([async move { poll(&client).await }]);
    let held = old.requests(1).await.remove(0);
    let _new = edge.tunnel(&core, poll_reply).await;
    old.reply(held.id, Payload::InstanceInfo(InstanceInfoResponse::default())).await;
    assert_eq!(waiting.join_all().await, [Ok(InstanceInfoResponse::default())]);
}

#[tokio::test]
async fn when_the_new_tunnel_ends_the_old_one_serves_again() {
    let core = FakeCore::new();
    let edge = Edge::adopted_by(&core).await;
    let old = edge.tunnel(&core, poll_reply).await;
    let new = edge.tunnel(&core, poll_reply).await;
    new.hang_up().await;
    eventually("requests take the old tunnel again", || edge.edge.registry.tunnel_count() == 1).await;
    edge.poll_times(1).await;
    assert_eq!(old.request_count(), 1);
}

#[tokio::test]
async fn of_two_stock_tunnels_the_newest_wins() {
    let core = FakeCore::stock();
    let edge = Edge::adopted_by(&core).await;
    let old = edge.tunnel(&core, poll_reply).await;
    let new = edge.tunnel(&core, poll_reply).await;
    edge.poll_times(10).await;
    assert_eq!((old.request_count(), new.request_count()), (0, 10));
}

#[tokio::test]
async fn two_cores_share_the_requests() {
    let core = FakeCore::new();
    let edge = Edge::adopted_by(&core).await;
    let first = edge.tunnel(&core, poll_reply).await;
    let second = edge.tunnel(&core.sibling(), poll_reply).await;
    edge.poll_times(100).await;
    assert!(first.request_count() > 10 && second.request_count() > 10, "both are used");
    assert_eq!(first.request_count() + second.request_count(), 100);
}

#[tokio::test]
async fn the_less_busy_of_two_cores_is_taken() {
    let core = FakeCore::new();
    let edge = Edge::adopted_by(&core).await;
    let stuck = edge.tunnel(&core, |_| Answer::Nothing).await;
    let mut waiting = tokio::task::JoinSet::new();
    let client = edge.edge.client.clone();
    waiting.spawn(async move { poll(&client).await });
    stuck.requests(1).await;
    let free = edge.tunnel(&core.sibling(), poll_reply).await;
    edge.poll_times(20).await;
    assert_eq!((stuck.request_count(), free.request_count()), (1, 20));
}

#[tokio::test]
async fn a_draining_tunnel_gets_nothing_new_and_finishes_the_old() {
    let core = FakeCore::new();
    let edge = Edge::adopted_by(&core).await;
    let leaving = edge.tunnel(&core, |_| Answer::Nothing).await;
    let client = edge.edge.client.clone();
    let waiting = tokio::task::JoinSet::from_iter([async move { poll(&client).await }]);
    let held = leaving.requests(1).await.remove(0);
    leaving.push(Payload::Draining(Draining {})).await;
    eventually("the edge is not ready", || !edge.edge.registry.is_ready()).await;
    assert!(edge.edge.registry.is_connected());
    assert_eq!(poll(&edge.edge.client).await, Err(CallError::NoTunnel));
    leaving.reply(held.id, Payload::InstanceInfo(InstanceInfoResponse::default())).await;
    assert_eq!(waiting.join_all().await, [Ok(InstanceInfoResponse::default())]);
}

#[tokio::test]
async fn while_one_core_drains_the_other_serves() {
    let core = FakeCore::new();
    let edge = Edge::adopted_by(&core).await;
    let leaving = edge.tunnel(&core, poll_reply).await;
    let staying = edge.tunnel(&core.sibling(), poll_reply).await;
    leaving.push(Payload::Draining(Draining {})).await;
    // Pushes and replies of one tunnel come in order: a probe that was answered came after it.
    leaving.push(Payload::Probe(Probe { sequence: 1 })).await;
    eventually("the edge has read it", || leaving.probe_reply_count() == 1).await;
    edge.poll_times(20).await;
    assert_eq!((leaving.request_count(), staying.request_count()), (0, 20));
}

#[tokio::test]
async fn a_silent_tunnel_is_avoided_and_then_closed() {
    let core = FakeCore::new();
    let edge = Edge::adopted_by(&core).await;
    let silent = edge.tunnel(&core, poll_reply).await;
    let well = edge.tunnel(&core.sibling(), poll_reply).await;
    silent.mute();
    let probes_before = silent.probe_count();
    // One probe after a second of silence, another after two.
    eventually("it is silent", || silent.probe_count() >= probes_before + 2).await;
    edge.poll_times(20).await;
    assert_eq!((silent.request_count(), well.request_count()), (0, 20));
    eventually("closed after six", || edge.edge.registry.tunnel_count() == 1).await;
    eventually("core sees the end", || silent.has_ended()).await;
}

#[tokio::test]
async fn an_idle_tunnel_to_a_core_that_answers_probes_stays_up() {
    let core = FakeCore::new();
    let edge = Edge::adopted_by(&core).await;
    let tunnel = edge.tunnel(&core, poll_reply).await;
    eventually("it is probed for more than six seconds", || tunnel.probe_count() >= 7).await;
    assert!(!tunnel.has_ended());
}

#[tokio::test]
async fn a_stock_core_is_never_probed_nor_judged_by_its_silence() {
    let core = FakeCore::new();
    let edge = Edge::adopted_by(&core).await;
    let stock = edge.tunnel(&core.without_link(), poll_reply).await;
    let ours = edge.tunnel(&core, poll_reply).await;
    eventually("more than six seconds pass", || ours.probe_count() >= 7).await;
    assert_eq!(stock.probe_count(), 0);
    assert!(!stock.has_ended());
}

#[tokio::test]
async fn the_state_of_the_server_follows_identity_and_tunnels() {
    let core = FakeCore::new();
    let folder = TempDir::new().unwrap();
    let edge = TestEdge::start(folder.path());
    let state = || edge.registry.server_state();
    assert_eq!(state(), ServerState::Setup);
    core.adopt(edge.address).await.unwrap();
    assert_eq!(state(), ServerState::Disconnected);
    let tunnel = core.connect(edge.address, poll_reply).await;
    eventually("connected", || state() == ServerState::Connected).await;
    tunnel.hang_up().await;
    eventually("disconnected", || state() == ServerState::Disconnected).await;
}

#[tokio::test]
async fn the_version_of_core_is_kept_after_a_loss() {
    let core = FakeCore::new();
    let edge = Edge::adopted_by(&core).await;
    assert_eq!(edge.edge.registry.core_version(), None);
    let tunnel = edge.tunnel(&core, poll_reply).await;
    let announced = postern_proto::version::ANNOUNCED;
    assert_eq!(edge.edge.registry.core_version().as_deref(), Some(announced));
    tunnel.hang_up().await;
    eventually("the tunnel is gone", || !edge.edge.registry.is_connected()).await;
    assert_eq!(edge.edge.registry.core_version().as_deref(), Some(announced));
    assert_eq!(edge.edge.registry.core_version_header().unwrap(), announced);
}

#[tokio::test]
async fn an_edge_that_leaves_tells_its_cores_and_still_serves() {
    let core = FakeCore::new();
    let edge = Edge::adopted_by(&core).await;
    let before = edge.tunnel(&core, poll_reply).await;
    edge.edge.registry.announce_leaving();
    eventually("the connected core is told", || before.was_told_goodbye()).await;
    let after = edge.tunnel(&core.sibling(), poll_reply).await;
    eventually("a core that dials later is told", || after.was_told_goodbye()).await;
    edge.poll_times(5).await;
}

#[tokio::test]
async fn stopping_ends_the_tunnels_and_returns() {
    let core = FakeCore::new();
    let Edge { edge, _folder } = Edge::adopted_by(&core).await;
    let tunnel = core.connect(edge.address, poll_reply).await;
    eventually("the edge is ready", || edge.registry.is_ready()).await;
    tokio::time::timeout(Duration::from_secs(3), edge.stop()).await.expect("within three seconds");
    eventually("core sees the end", || tunnel.has_ended()).await;
    assert!(tunnel.was_told_goodbye());
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
        eventually("a session key is held", || self.edge.keys.current().is_some()).await;
        tunnel
    }

    async fn poll_times(&self, times: usize) {
        for _ in 0..times {
            assert_eq!(poll(&self.edge.client).await, Ok(InstanceInfoResponse::default()));
        }
    }
}

async fn poll(client: &postern_edge::core_client::CoreClient) -> Result<InstanceInfoResponse, CallError> {
    client.call(InstanceInfoRequest { token: "polling".to_owned() }, TestEdge::context(SOON)).await
}

fn poll_reply(_: &CoreRequest) -> Answer {
    Answer::Reply(Payload::InstanceInfo(InstanceInfoResponse::default()))
}
