//! A Core that sends what it likes: nobody panics, the tunnel stays, and callers hear that the reply is bad.

use std::{
    collections::BTreeMap,
    panic,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use postern_edge::{
    core_client::{CallError, CoreClient},
    testing::{Answer, TestEdge, eventually},
};
use postern_proto::{
    client_types as wire,
    link::Probe,
    posture::DevicePostureCheckRequest,
    proxy::{self, CoreRequest, CoreResponse, core_response::Payload},
    rpc::Rpc,
};
use prost::Message as _;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use tokio::task::JoinSet;

use crate::{
    answers::right,
    harness::{Setting, Site},
    mutation::{encoded, mutated, replies, with_id},
    table::{Open, ROUTES},
};

const BUDGET: Duration = Duration::from_secs(60);
const BAD_REPLY: &str = "Core sent an unreadable reply";

#[tokio::test]
async fn a_reply_of_any_other_kind_is_502_on_every_route() {
    let kinds = replies();
    let open = Open::new(Setting::default()).await;
    for route in &ROUTES {
        let mut answered = BTreeMap::new();
        for reply in &kinds {
            let payload = reply.payload.clone().unwrap();
            open.answer(move |_| Answer::Reply(payload.clone()));
            let reply = open.ask(route, &route.body()).await;
            *answered.entry(reply.status).or_insert(0) += 1;
            if reply.status == 502 {
                reply.expect_error(502, "bad_reply", BAD_REPLY);
            }
        }
        // Its own kind, and a refusal; every other kind there is, pushes included, is a bad reply.
        let mut expected = BTreeMap::from([(200, 1), (401, 1), (502, 21)]);
        if route.path == "/api/v1/posture/connect" {
            // A device that is not in order has a reply of its own.
            expected = BTreeMap::from([(200, 1), (401, 1), (403, 1), (502, 20)]);
        }
        assert_eq!(answered, expected, "{}", route.path);
        open.answer(|request| Answer::Raw(with_id(request.id, &[])));
        open.ask(route, &route.body()).await.expect_error(502, "bad_reply", BAD_REPLY);
    }
}

/// 20,000 replies with the right id and damage behind it, to calls of each kind that a route makes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_reply_fails_its_own_call_at_once() {
    let panics = Panics::count();
    let (random, seed) = random();
    let corpus = replies();
    let damaged = move |request: &CoreRequest| {
        let random = &mut *random.lock().unwrap();
        let payload = match right(request) {
            Answer::Reply(payload) if random.random() => payload,
            _ => corpus.choose(random).unwrap().payload.clone().unwrap(),
        };
        Answer::Raw(with_id(request.id, &mutated(encoded(payload), random)))
    };
    let (site, tunnel) = Site::connected(Setting::default(), damaged).await;
    let mut callers = JoinSet::new();
    for _ in 0..20 {
        let core = site.edge.client.clone();
        callers.spawn(async move {
            let mut readable = 0;
            for number in 0..1_000 {
                let outcome = call(&core, number).await;
                assert!(matches!(outcome, Ok(()) | Err(CallError::BadReply | CallError::Rejected(_))), "{outcome:?}");
                readable += usize::from(outcome != Err(CallError::BadReply));
            }
            readable
        });
    }
    let mut readable = 0;
    while let Some(done) = callers.join_next().await {
        readable += done.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
    assert!((100..10_000).contains(&readable), "damage of each degree: {readable} can be read; seed {seed}");
    assert_eq!((tunnel.request_count(), panics.seen()), (20_000, 0), "seed {seed}");
    assert!(!tunnel.has_ended() && site.edge.registry.in_flight() == 0, "seed {seed}");
}

/// 20,000 messages with any id: pushes, late replies, and what is neither, while callers wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_hostile_messages_ends_no_tunnel_and_no_process() {
    let panics = Panics::count();
    let (random, seed) = random();
    let corpus = replies();
    let (site, tunnel) = Site::connected(Setting::default(), |_| Answer::Nothing).await;
    let mut callers = JoinSet::new();
    for number in 0..200 {
        let core = site.edge.client.clone();
        callers.spawn(async move { call(&core, number).await });
    }
    tunnel.requests(200).await;
    for _ in 0..20_000 {
        let message = hostile(&corpus, &mut random.lock().unwrap());
        tunnel.send(message.into()).await;
    }
    let answered = tunnel.probe_reply_count();
    tunnel.push(Payload::Probe(Probe { sequence: 1 })).await;
    eventually("all of it was read", || tunnel.probe_reply_count() > answered).await;
    assert!(!tunnel.has_ended() && panics.seen() == 0, "seed {seed}");
    tunnel.hang_up().await;
    while let Some(outcome) = callers.join_next().await {
        assert!(outcome.is_ok(), "every caller gets an outcome; seed {seed}");
    }
    let _tunnel = site.core.connect(site.edge.address, right).await;
    eventually("another tunnel serves", || site.edge.registry.is_ready()).await;
    assert_eq!(site.post("/api/v1/poll", r#"{"token":"t"}"#).await.status, 200, "seed {seed}");
}

/// Whatever a reply that decodes is made of, what people get is JSON.
#[tokio::test]
async fn a_damaged_reply_of_the_right_kind_is_json_or_an_error() {
    let panics = Panics::count();
    let (random, seed) = random();
    let open = Open::new(Setting::default()).await;
    open.answer(move |request| {
        let Answer::Reply(payload) = right(request) else { panic!("every kind has a reply") };
        let mut random = random.lock().unwrap();
        Answer::Raw(with_id(request.id, &mutated(encoded(payload), &mut random)))
    });
    for number in 0..1_500 {
        let route = &ROUTES[number % ROUTES.len()];
        let reply = open.ask(route, &route.body()).await;
        assert!(reply.json().is_object(), "seed {seed}: {reply:?}");
    }
    assert_eq!(panics.seen(), 0, "seed {seed}");
}

async fn call(core: &CoreClient, number: usize) -> Result<(), CallError> {
    match number % 18 {
        0 => ask(core, wire::InstanceInfoRequest::default()).await,
        1 => ask(core, wire::EnrollmentStartRequest::default()).await,
        2 => ask(core, wire::NewDevice::default()).await,
        3 => ask(core, wire::ActivateUserRequest::default()).await,
        4 => ask(core, wire::ExistingDevice::default()).await,
        5 => ask(core, wire::CodeMfaSetupStartRequest::default()).await,
        6 => ask(core, wire::CodeMfaSetupFinishRequest::default()).await,
        7 => ask(core, wire::ClientMfaStartRequest::default()).await,
        8 => ask(core, wire::RegisterMobileAuthRequest::default()).await,
        9 => ask(core, proxy::PasswordResetInitializeRequest::default()).await,
        10 => ask(core, proxy::PasswordResetStartRequest::default()).await,
        11 => ask(core, proxy::PasswordResetRequest::default()).await,
        12 => ask(core, wire::AuthInfoRequest::default()).await,
        13 => ask(core, proxy::AuthCallbackRequest::default()).await,
        14 => ask(core, proxy::ClientMfaOidcAuthenticateRequest::default()).await,
        15 => ask(core, DevicePostureCheckRequest::default()).await,
        16 => ask(core, proxy::ClientMfaTokenValidationRequest::default()).await,
        _ => ask(core, wire::ClientMfaFinishRequest::default()).await,
    }
}

async fn ask<R: Rpc>(core: &CoreClient, request: R) -> Result<(), CallError> {
    core.call(request, TestEdge::context(BUDGET)).await.map(drop)
}

/// Not one that asks for nothing new: the rest would fall on a tunnel that nobody uses.
fn hostile(corpus: &[CoreResponse], random: &mut StdRng) -> Vec<u8> {
    loop {
        let mut message = corpus.choose(random).unwrap().clone();
        message.id = [0, 0, random.random_range(0..1_000), random.random()][random.random_range(0..4)];
        let message = mutated(message.encode_to_vec(), random);
        let drains = |reply: CoreResponse| matches!(reply.payload, Some(Payload::Draining(_)));
        if !CoreResponse::decode(&*message).is_ok_and(drains) {
            return message;
        }
    }
}

fn random() -> (Arc<Mutex<StdRng>>, u64) {
    let seed = rand::random();
    (Arc::new(Mutex::new(StdRng::seed_from_u64(seed))), seed)
}

/// A panic in a task of the Edge is seen nowhere else: each has somebody who survives it.
struct Panics;

static PANICS: AtomicUsize = AtomicUsize::new(0);

impl Panics {
    fn count() -> Self {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            PANICS.fetch_add(1, Ordering::SeqCst);
            before(info);
        }));
        Self
    }

    fn seen(&self) -> usize {
        PANICS.load(Ordering::SeqCst)
    }
}
