//! An Edge and a Core that behaves as a stock one: slow, silent, gone for a while. Nobody waits longer than their
//! time, nothing is left behind, and health tells the truth.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod health;

use std::time::Duration;

use postern_edge::{
    core_client::CallError,
    testing::{StockCore, StockManner, TestEdge, eventually},
};
use postern_proto::{
    client_types::{EnrollmentStartRequest, ExistingDevice, InstanceInfoRequest},
    posture::DevicePostureCheckRequest,
    proxy::{AuthCallbackRequest, AwaitRemoteMfaFinishRequest, PasswordResetInitializeRequest, core_request::Payload},
    rejection::{Code, Rejection},
    rpc::Rpc,
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use tempfile::TempDir;
use tokio::{task::JoinSet, time::Instant};

const SOON: Duration = Duration::from_secs(4);
const AT_ONCE: Duration = Duration::from_millis(300);
/// For a machine that does something else meanwhile.
const SLACK: Duration = Duration::from_millis(700);

struct Pair {
    edge: TestEdge,
    core: StockCore,
    _folder: TempDir,
}

impl Pair {
    async fn with(manner: StockManner) -> Self {
        let folder = TempDir::new().unwrap();
        let edge = TestEdge::start(folder.path());
        let core = StockCore::start(edge.address, manner).await;
        eventually("the edge is ready", || edge.registry.is_ready()).await;
        Self { edge, core, _folder: folder }
    }

    async fn call<R: Rpc>(&self, request: R, budget: Duration) -> Result<R::Reply, CallError> {
        self.edge.client.call(request, TestEdge::context(budget)).await
    }

    async fn expect_no_slot_held(&self) {
        eventually("no slot is held", || self.edge.registry.in_flight() == 0).await;
    }
}

fn quick() -> StockManner {
    StockManner { reconnect_after: AT_ONCE, ..StockManner::default() }
}

fn poll() -> InstanceInfoRequest {
    InstanceInfoRequest { token: "polling".to_owned() }
}

fn posture() -> DevicePostureCheckRequest {
    DevicePostureCheckRequest::default()
}

fn refused<T>(outcome: Result<T, CallError>) -> Rejection {
    match outcome {
        Err(CallError::Rejected(rejection)) => rejection,
        Err(error) => panic!("{error:?}"),
        Ok(_) => panic!("it was not refused"),
    }
}

#[tokio::test]
async fn what_was_recorded_arrives_as_it_was() {
    let pair = Pair::with(StockManner::default()).await;
    let recorded = StockCore::recorded("enrollment_start").payload;
    let Some(Payload::EnrollmentStart(start)) = recorded else { panic!("{recorded:?}") };

    let started = pair.call(start, SOON).await.unwrap();
    assert!(started.user.is_some() && started.instance.is_some() && started.settings.is_some());

    let unknown = EnrollmentStartRequest { token: "x".repeat(32) };
    let rejection = refused(pair.call(unknown, SOON).await);
    assert_eq!((rejection.code, rejection.message.as_str()), (Code::Unauthenticated, "invalid token"));
    let rejection = refused(pair.call(poll(), SOON).await);
    assert_eq!((rejection.code, rejection.message.as_str()), (Code::FailedPrecondition, "no valid license"));
    let rejection = refused(pair.call(ExistingDevice { pubkey: "x".to_owned(), token: None }, SOON).await);
    assert_eq!((rejection.code, rejection.message.as_str()), (Code::NotFound, "device not found"));
    pair.expect_no_slot_held().await;
}

#[tokio::test]
async fn what_a_stock_core_never_answers_costs_its_time_and_no_slot() {
    let pair = Pair::with(StockManner::default()).await;
    let begun = Instant::now();
    let wait = AwaitRemoteMfaFinishRequest { token: "nobody approves".to_owned() };
    let (posture, wait) =
        tokio::join!(pair.call(posture(), AT_ONCE), pair.edge.client.wait(wait, TestEdge::context(AT_ONCE)),);
    assert_eq!(posture.unwrap_err(), CallError::DeadlineExceeded);
    assert_eq!(wait.unwrap_err(), CallError::DeadlineExceeded);
    assert!(begun.elapsed() < AT_ONCE + SLACK, "{:?}", begun.elapsed());
    pair.expect_no_slot_held().await;
    assert_eq!(pair.core.streams(), 1, "silence ends no tunnel");
}

#[tokio::test]
async fn thousands_of_calls_that_are_never_answered_leave_nothing_behind() {
    let pair = Pair::with(StockManner::default()).await;
    for _ in 0..6 {
        let mut calls = JoinSet::new();
        for _ in 0..500 {
            let (client, context) = (pair.edge.client.clone(), TestEdge::context(AT_ONCE));
            calls.spawn(async move { client.call(posture(), context).await });
        }
        while let Some(outcome) = calls.join_next().await {
            assert_eq!(outcome.unwrap().unwrap_err(), CallError::DeadlineExceeded);
        }
        pair.expect_no_slot_held().await;
    }
    eventually("core saw them all", || pair.core.ignored() == 3_000).await;
    refused(pair.call(poll(), SOON).await);
}

#[tokio::test]
async fn one_slow_request_delays_the_others_and_each_ends_in_its_time() {
    fn work(payload: &Payload) -> Duration {
        let slow = matches!(payload, Payload::PasswordResetInit(_));
        Duration::from_millis(if slow { 250 } else { 1 })
    }
    let pair = Pair::with(StockManner { work, ..StockManner::default() }).await;
    let begun = Instant::now();
    let mut resets = JoinSet::new();
    for _ in 0..8 {
        let (client, context) = (pair.edge.client.clone(), TestEdge::context(SOON));
        let reset = PasswordResetInitializeRequest { email: "joe@example.org".to_owned() };
        resets.spawn(async move { client.call(reset, context).await });
    }
    eventually("all are on their way", || pair.edge.registry.in_flight() == 8).await;

    let (hasty, patient) = tokio::join!(pair.call(poll(), Duration::from_secs(1)), pair.call(poll(), SOON));

    assert_eq!(hasty.unwrap_err(), CallError::DeadlineExceeded);
    refused(patient);
    assert!(begun.elapsed() > Duration::from_millis(2_000), "it works on one after the other");
    assert!(begun.elapsed() < SOON + SLACK, "{:?}", begun.elapsed());
    while let Some(reset) = resets.join_next().await {
        reset.unwrap().unwrap();
    }
    // The reply to the hasty one came to nobody.
    pair.expect_no_slot_held().await;
    refused(pair.call(poll(), SOON).await);
}

#[tokio::test]
async fn whoever_waits_fails_at_once_when_the_stream_ends() {
    let manner = StockManner { openid_ends_the_stream: true, ..quick() };
    let pair = Pair::with(manner).await;
    let mut waiting = JoinSet::new();
    for _ in 0..50 {
        let (client, context) = (pair.edge.client.clone(), TestEdge::context(Duration::from_secs(30)));
        waiting.spawn(async move { client.call(posture(), context).await.map(drop) });
    }
    eventually("core has them all", || pair.core.ignored() == 50).await;

    let begun = Instant::now();
    let callback = AuthCallbackRequest { code: "code".to_owned(), nonce: "nonce".to_owned() };
    assert_eq!(pair.call(callback, SOON).await.unwrap_err(), CallError::TunnelLost);
    while let Some(outcome) = waiting.join_next().await {
        assert_eq!(outcome.unwrap(), Err(CallError::TunnelLost));
    }
    assert!(begun.elapsed() < SLACK, "{:?}", begun.elapsed());
    pair.expect_no_slot_held().await;

    eventually("core is back", || pair.core.streams() == 2 && pair.edge.registry.is_ready()).await;
    refused(pair.call(poll(), SOON).await);
}

#[tokio::test]
async fn while_core_is_away_nobody_waits_at_all() {
    let pair = Pair::with(StockManner::default()).await;
    pair.core.lose_stream();
    eventually("the edge knows", || !pair.edge.registry.is_ready()).await;
    let begun = Instant::now();
    for _ in 0..100 {
        assert_eq!(pair.call(poll(), SOON).await.unwrap_err(), CallError::NoTunnel);
    }
    assert!(begun.elapsed() < SLACK, "{:?}", begun.elapsed());
    pair.expect_no_slot_held().await;
}

/// 3,000 calls of all tempers while Core loses its stream now and then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_time_with_a_stock_core_leaves_nothing_behind() {
    let seed = rand::random();
    let mut random = StdRng::seed_from_u64(seed);
    let manner = StockManner { reconnect_after: Duration::from_millis(50), openid_ends_the_stream: true, ..quick() };
    let pair = Pair::with(manner).await;
    for batch in 0..30 {
        let mut calls = JoinSet::new();
        for _ in 0..100 {
            let budget = Duration::from_millis(random.random_range(1..800));
            let (client, kind) = (pair.edge.client.clone(), random.random_range(0..1_000));
            let context = TestEdge::context(budget);
            let patience = Duration::from_millis(random.random_range(1..400));
            calls.spawn(async move {
                let begun = Instant::now();
                let call = async {
                    match kind {
                        0..600 => client.call(poll(), context).await.map(drop),
                        600..800 => client.call(posture(), context).await.map(drop),
                        800..995 => client.wait(AwaitRemoteMfaFinishRequest::default(), context).await.map(drop),
                        _ => client.call(AuthCallbackRequest::default(), context).await.map(drop),
                    }
                };
                // Some leave before they have their answer.
                let outcome =
                    if kind % 7 == 0 { tokio::time::timeout(patience, call).await.ok() } else { Some(call.await) };
                (begun.elapsed(), budget, outcome)
            });
        }
        while let Some(ended) = calls.join_next().await {
            let (elapsed, budget, outcome) = ended.unwrap();
            assert!(elapsed < budget + SLACK, "seed {seed}, batch {batch}: {elapsed:?} of {budget:?}");
            assert_ne!(outcome, Some(Err(CallError::BadReply)), "seed {seed}, batch {batch}");
        }
    }
    pair.expect_no_slot_held().await;
    eventually("the edge is ready again", || pair.edge.registry.is_ready()).await;
    println!("seed {seed}: {} streams, {} answered", pair.core.streams(), pair.core.answered());
}
