//! Requests over real tunnels: each gets exactly one outcome, and its slot is freed in every case.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use postern_edge::{
    core_client::{CallError, CoreClient},
    testing::{Answer, FakeCore, FakeTunnel, TestEdge, adopted_edge, empty, eventually},
};
use postern_proto::{
    client_types::{ActivateUserRequest, InstanceInfoRequest, InstanceInfoResponse},
    proxy::{CoreRequest, core_response::Payload},
    rejection::Rejection,
};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tonic::Code;

const SOON: Duration = Duration::from_secs(4);
const AT_ONCE: Duration = Duration::from_millis(150);

#[tokio::test]
async fn a_request_gets_its_reply() {
    let edge = Edge::with(poll_reply).await;
    assert_eq!(edge.poll(SOON).await, Ok(InstanceInfoResponse::default()));
    edge.expect_no_slot_held().await;
}

#[tokio::test]
async fn a_request_carries_who_asks_and_what_is_left_of_its_time() {
    let edge = Edge::with(poll_reply).await;
    edge.poll(SOON).await.unwrap();
    let request = edge.tunnel.requests(1).await.remove(0);
    let context = request.context.unwrap();
    assert_eq!(request.id, 1);
    assert_eq!(request.device_info.unwrap().ip_address, "192.0.2.1");
    assert_eq!(context.operation_id.len(), 32);
    assert!((3_000..=4_000).contains(&context.deadline_ms), "{}", context.deadline_ms);
}

#[tokio::test]
async fn a_stock_core_gets_no_request_context() {
    let edge = Edge::of(FakeCore::stock(), poll_reply).await;
    edge.poll(SOON).await.unwrap();
    let request = edge.tunnel.requests(1).await.remove(0);
    assert!(request.context.is_none());
    assert!(request.device_info.is_some());
}

#[tokio::test]
async fn many_requests_at_once_each_get_their_own_reply() {
    let edge = Edge::with(|request| Answer::Reject(Rejection::new(Code::NotFound, request.id.to_string()))).await;
    let mut calls = edge.start_polls(200);
    let mut ids = Vec::new();
    while let Some(outcome) = calls.join_next().await {
        let Err(CallError::Rejected(rejection)) = outcome.unwrap() else { panic!("core rejects each") };
        ids.push(rejection.message.parse::<u64>().unwrap());
    }
    ids.sort_unstable();
    assert_eq!(ids, (1..=200).collect::<Vec<_>>());
    edge.expect_no_slot_held().await;
}

#[tokio::test]
async fn a_refusal_of_core_arrives_with_code_and_text() {
    let edge = Edge::with(|_| Answer::Reject(Rejection::new(Code::PermissionDenied, "invalid token"))).await;
    let rejection = Rejection::new(Code::PermissionDenied, "invalid token");
    assert_eq!(edge.poll(SOON).await, Err(CallError::Rejected(rejection)));
    edge.expect_no_slot_held().await;
}

#[tokio::test]
async fn a_core_that_never_replies_costs_the_deadline_and_no_slot() {
    let edge = Edge::with(|_| Answer::Nothing).await;
    assert_eq!(edge.poll(AT_ONCE).await, Err(CallError::DeadlineExceeded));
    edge.expect_no_slot_held().await;
}

#[tokio::test]
async fn nothing_is_sent_when_no_time_is_left() {
    let edge = Edge::with(poll_reply).await;
    assert_eq!(edge.poll(Duration::ZERO).await, Err(CallError::DeadlineExceeded));
    edge.poll(SOON).await.unwrap();
    assert_eq!(edge.tunnel.request_count(), 1);
}

#[tokio::test]
async fn a_late_reply_reaches_nobody() {
    let edge = Edge::with(|request| if request.id == 1 { Answer::Nothing } else { poll_reply(request) }).await;
    assert_eq!(edge.poll(AT_ONCE).await, Err(CallError::DeadlineExceeded));
    edge.tunnel.reply(1, Payload::InstanceInfo(InstanceInfoResponse::default())).await;
    edge.poll(SOON).await.unwrap();
    edge.expect_no_slot_held().await;
}

#[tokio::test]
async fn a_second_reply_reaches_nobody() {
    let edge = Edge::with(|_| Answer::Twice(Payload::InstanceInfo(InstanceInfoResponse::default()))).await;
    for _ in 0..5 {
        edge.poll(SOON).await.unwrap();
    }
    edge.expect_no_slot_held().await;
}

#[tokio::test]
async fn a_reply_that_does_not_decode_fails_its_own_request_only() {
    let edge = Edge::with(|request| if request.id == 1 { Answer::Garbage } else { poll_reply(request) }).await;
    assert_eq!(edge.poll(SOON).await, Err(CallError::BadReply));
    edge.poll(SOON).await.unwrap();
    edge.expect_no_slot_held().await;
}

#[tokio::test]
async fn bytes_that_are_no_message_leave_the_tunnel_up() {
    let edge = Edge::with(|request| match request.id {
        1 => Answer::Raw(vec![0xff; 64].into()),
        _ => poll_reply(request),
    })
    .await;
    assert_eq!(edge.poll(AT_ONCE).await, Err(CallError::DeadlineExceeded));
    edge.poll(SOON).await.unwrap();
}

#[tokio::test]
async fn a_reply_of_another_kind_is_a_bad_reply() {
    let edge = Edge::with(|_| empty()).await;
    assert_eq!(edge.poll(SOON).await, Err(CallError::BadReply));
    edge.expect_no_slot_held().await;
}

#[tokio::test]
async fn a_reply_without_a_payload_is_a_bad_reply() {
    let edge = Edge::with(|_| Answer::Raw(vec![0x08, 0x01].into())).await;
    assert_eq!(edge.poll(SOON).await, Err(CallError::BadReply));
}

#[tokio::test]
async fn a_lost_tunnel_fails_every_waiting_call_at_once() {
    let edge = Edge::with(|_| Answer::Nothing).await;
    let mut calls = edge.start_polls(3);
    edge.tunnel.requests(3).await;
    let Edge { edge, tunnel, .. } = edge;
    tunnel.hang_up().await;
    while let Some(outcome) = calls.join_next().await {
        assert_eq!(outcome.unwrap(), Err(CallError::TunnelLost));
    }
    eventually("no slot is held", || edge.registry.in_flight() == 0).await;
    eventually("the tunnel is gone", || !edge.registry.is_connected()).await;
}

#[tokio::test]
async fn without_a_tunnel_a_call_fails_at_once_and_unsent() {
    let folder = TempDir::new().unwrap();
    let edge = TestEdge::start(folder.path());
    let error = poll(&edge.client, SOON).await.unwrap_err();
    assert_eq!(error, CallError::NoTunnel);
    assert!(!error.was_sent());
}

#[tokio::test]
async fn a_caller_that_leaves_frees_its_slot() {
    let edge = Edge::with(|_| Answer::Nothing).await;
    let mut calls = edge.start_polls(20);
    edge.tunnel.requests(20).await;
    calls.shutdown().await;
    edge.expect_no_slot_held().await;
}

#[tokio::test]
async fn beyond_a_thousand_requests_in_flight_callers_are_shed_unsent() {
    let edge = Edge::with(|_| Answer::Nothing).await;
    let calls = edge.start_polls(1_000);
    edge.tunnel.requests(1_000).await;
    let error = edge.poll(SOON).await.unwrap_err();
    assert_eq!(error, CallError::Overloaded);
    assert!(!error.was_sent());
    assert_eq!(edge.tunnel.request_count(), 1_000);
    drop(calls);
    edge.expect_no_slot_held().await;
}

#[tokio::test]
async fn a_reply_of_almost_four_mebibytes_arrives() {
    let edge = Edge::with(|_| Answer::Reject(Rejection::new(Code::NotFound, "x".repeat(4_194_000)))).await;
    let Err(CallError::Rejected(rejection)) = edge.poll(SOON).await else { panic!("core rejects") };
    assert_eq!(rejection.message.len(), 4_194_000);
}

#[tokio::test]
async fn an_empty_reply_is_a_reply() {
    let edge = Edge::with(|_| empty()).await;
    let request = ActivateUserRequest::default();
    assert_eq!(edge.edge.client.call(request, TestEdge::context(SOON)).await, Ok(()));
}

struct Edge {
    edge: TestEdge,
    tunnel: FakeTunnel,
    _folder: TempDir,
}

impl Edge {
    async fn with(answers: impl Fn(&CoreRequest) -> Answer + Send + Sync + 'static) -> Self {
        Self::of(FakeCore::new(), answers).await
    }

    async fn of(core: FakeCore, answers: impl Fn(&CoreRequest) -> Answer + Send + Sync + 'static) -> Self {
        let folder = TempDir::new().unwrap();
        let edge = adopted_edge(folder.path(), &core).await;
        let tunnel = core.connect(edge.address, answers).await;
        eventually("the edge is ready", || edge.registry.is_ready()).await;
        Self { edge, tunnel, _folder: folder }
    }

    async fn poll(&self, budget: Duration) -> Result<InstanceInfoResponse, CallError> {
        poll(&self.edge.client, budget).await
    }

    fn start_polls(&self, count: usize) -> JoinSet<Result<InstanceInfoResponse, CallError>> {
        let mut calls = JoinSet::new();
        for _ in 0..count {
            let client = self.edge.client.clone();
            calls.spawn(async move { poll(&client, Duration::from_secs(30)).await });
        }
        calls
    }

    async fn expect_no_slot_held(&self) {
        eventually("no slot is held", || self.edge.registry.in_flight() == 0).await;
    }
}

async fn poll(client: &CoreClient, budget: Duration) -> Result<InstanceInfoResponse, CallError> {
    client.call(InstanceInfoRequest { token: "polling".to_owned() }, TestEdge::context(budget)).await
}

fn poll_reply(_: &CoreRequest) -> Answer {
    Answer::Reply(Payload::InstanceInfo(InstanceInfoResponse::default()))
}
