//! A tunnel to an Edge that behaves as a stock one.

use std::{sync::Arc, time::Duration};

use postern_core_link::{
    Adoption, Edge, EdgeId, Limits, LinkState, LinkStatus, Request, Supervisor, SupervisorConfig, WebCertificate,
    testing::{FakeAuthority, Pushed, StockEdge, StockSettings, Unanswered},
};
use postern_proto::{
    proxy::{AwaitRemoteMfaFinishRequest, core_request, core_response},
    rejection::Rejection,
};
use tokio::{sync::Semaphore, task::JoinSet, time::Instant};
use tonic::Code;

use crate::{Answering, config, core, echo, in_time, is_connected, start, started, status, stock_adoption::adopt};

/// Adopted, with a tunnel, ready for people.
async fn ready(edge: &StockEdge, core: &Supervisor) -> Edge {
    let known = adopt(edge).await;
    core.set_edges(vec![known.clone()]);
    until_ready(edge).await;
    known
}

async fn until_ready(edge: &StockEdge) {
    until(|| edge.is_ready()).await;
}

async fn until(condition: impl Fn() -> bool) {
    in_time(async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

fn approval(token: &str) -> core_request::Payload {
    core_request::Payload::AwaitRemoteMfaFinish(AwaitRemoteMfaFinishRequest { token: token.to_owned() })
}

#[tokio::test]
async fn core_waits_while_a_stock_edge_changes_its_port_to_tls() {
    let settings = StockSettings { gap: Duration::from_secs(1), ..StockSettings::default() };
    let edge = StockEdge::start_with(settings).await;
    let core = core(echo);

    ready(&edge, &core).await;

    assert_eq!(edge.request(start("a")).await, Ok(started("a")));
    let LinkState::Connected { peer_version, .. } = status(&core, is_connected).await.state else { unreachable!() };
    assert_eq!(peer_version.to_string(), "2.0.0+2f1c9aa");
}

#[tokio::test]
async fn a_stock_edge_hears_nothing_that_a_stock_core_does_not_say() {
    let (edge, core) = (StockEdge::start().await, core(echo));
    ready(&edge, &core).await;
    core.set_web_certificate(None);
    assert_eq!(edge.request(start("a")).await, Ok(started("a")));
    core.shutdown().await;
    assert_eq!(edge.pushed(), [Pushed::InitialInfo]);
}

#[tokio::test]
async fn a_stock_edge_hears_of_a_certificate_after_its_key_and_whenever_it_changes() {
    let (edge, core) = (StockEdge::start().await, core(echo));
    core.set_web_certificate(Some(WebCertificate::new("cert 1".to_owned(), "key 1".to_owned())));
    ready(&edge, &core).await;
    until(|| edge.pushed().len() == 2).await;
    core.set_web_certificate(Some(WebCertificate::new("cert 1".to_owned(), "key 1".to_owned())));
    core.set_web_certificate(Some(WebCertificate::new("cert 2".to_owned(), "key 2".to_owned())));
    until(|| edge.pushed().len() == 3).await;
    core.set_web_certificate(None);
    until(|| edge.pushed().len() == 4).await;
    let certs = |n: u8| Pushed::HttpsCerts(format!("cert {n}"), format!("key {n}"));
    assert_eq!(edge.pushed(), [Pushed::InitialInfo, certs(1), certs(2), Pushed::ClearHttpsCerts]);
}

#[tokio::test]
async fn many_requests_of_a_stock_edge_each_get_their_own_reply() {
    let (edge, core) = (StockEdge::start().await, core(echo));
    ready(&edge, &core).await;
    let mut asking = JoinSet::new();
    for number in 0..200 {
        let reply = edge.request(start(&number.to_string()));
        asking.spawn(async move { (number, reply.await) });
    }
    while let Some(asked) = asking.join_next().await {
        let (number, reply) = asked.unwrap();
        assert_eq!(reply, Ok(started(&number.to_string())));
    }
    assert_eq!(edge.late_replies(), 0);
}

#[tokio::test]
async fn a_refusal_arrives_by_its_number() {
    let edge = StockEdge::start().await;
    let core = core(|_| async { Err(Rejection::new(Code::FailedPrecondition, "no valid license").retry_after(7)) });
    ready(&edge, &core).await;
    let Ok(core_response::Payload::CoreError(error)) = edge.request(start("a")).await else { panic!("a refusal") };
    assert_eq!((error.status_code, error.message.as_str()), (9, "no valid license"));
    assert_eq!(error.retry_after_seconds, None);
}

#[tokio::test]
async fn what_core_cannot_answer_in_time_it_does_not_answer_late() {
    let settings = StockSettings { patience: Duration::from_secs(5), ..StockSettings::default() };
    let edge = StockEdge::start_with(settings).await;
    let core = core(|request: Request| async move {
        if request.payload == start("never") {
            std::future::pending::<()>().await;
        }
        echo(request).await
    });
    ready(&edge, &core).await;

    let never = edge.request(start("never"));
    assert_eq!(edge.request(start("a")).await, Ok(started("a")), "one slow request holds up no other");
    assert_eq!(never.await, Err(Unanswered::NoReply));
    assert_eq!(edge.late_replies(), 0);
}

#[tokio::test]
async fn what_waits_for_a_person_takes_no_slot_of_a_request() {
    let edge = StockEdge::start().await;
    let gate = Arc::new(Semaphore::new(0));
    let opened = Arc::clone(&gate);
    let limits = Limits { requests_max: 1, approvals_max: 2, ..Limits::default() };
    let handler = Answering(move |request: Request| {
        let gate = Arc::clone(&opened);
        async move {
            if matches!(request.payload, core_request::Payload::AwaitRemoteMfaFinish(_)) {
                drop(gate.acquire().await);
                return Ok(core_response::Payload::Empty(()));
            }
            echo(request).await
        }
    });
    let core = Supervisor::start(SupervisorConfig { limits, ..config() }, handler);
    ready(&edge, &core).await;

    let mut waits = JoinSet::new();
    for token in ["a", "b", "c"] {
        waits.spawn(edge.request(approval(token)));
    }
    // The third finds no room; the two others leave all of it to requests.
    let refused = in_time(waits.join_next()).await.unwrap().unwrap();
    let Ok(core_response::Payload::CoreError(error)) = refused else { panic!("{refused:?}") };
    assert_eq!(error.status_code, Code::ResourceExhausted as i32);
    assert_eq!(edge.request(start("x")).await, Ok(started("x")));
    assert_eq!(status(&core, is_connected).await.in_flight, 0, "a wait for a person is no load");
    gate.add_permits(2);
    for _ in 0..2 {
        assert_eq!(in_time(waits.join_next()).await.unwrap().unwrap(), Ok(core_response::Payload::Empty(())));
    }
}

#[tokio::test]
async fn another_certificate_of_the_same_authority_is_told_apart_by_its_serial() {
    let edge = StockEdge::start().await;
    let authority = FakeAuthority::new();
    let requested = in_time(in_time(Adoption::start(edge.address())).await.unwrap().csr()).await;
    let requested = requested.unwrap();
    let (bundle, mut trust) = authority.bundle(requested.csr());
    in_time(requested.send(bundle)).await.unwrap();
    (trust.client_cert, trust.client_key) = authority.client();
    let core = core(echo);
    core.set_edges(vec![Edge { id: EdgeId(1), address: edge.address().clone(), trust }]);

    let refused = |status: &LinkStatus| {
        crate::error_of(&status.state).is_some_and(|error| error.contains("Client certificate serial mismatch"))
    };
    let state = status(&core, refused).await.state;
    assert!(matches!(state, LinkState::Dialing { .. }), "that is no question of versions: {state:?}");
    assert!(!edge.is_ready());
}

#[tokio::test]
async fn a_purge_reaches_a_stock_edge_while_the_tunnel_is_open_and_it_can_be_adopted_again() {
    let (edge, core) = (StockEdge::start().await, core(echo));
    let known = ready(&edge, &core).await;

    let begun = Instant::now();
    in_time(core.purge(known.id)).await.unwrap();

    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert!(!edge.is_adopted());
    core.set_edges(Vec::new());
    core.set_edges(vec![in_time(adopt_when_open(&edge)).await]);
    until_ready(&edge).await;
}

/// While it changes its port back, nobody listens there.
async fn adopt_when_open(edge: &StockEdge) -> Edge {
    loop {
        let Ok(adoption) = Adoption::start(edge.address()).await else { continue };
        let requested = adoption.csr().await.expect("a request");
        let (bundle, trust) = FakeAuthority::new().bundle(requested.csr());
        requested.send(bundle).await.expect("it fits");
        return Edge { id: EdgeId(8), address: edge.address().clone(), trust };
    }
}

#[tokio::test]
async fn without_a_session_key_a_stock_edge_serves_nobody() {
    let edge = StockEdge::start().await;
    adopt(&edge).await;
    assert_eq!(edge.request(start("a")).await, Err(Unanswered::NotReady));
}
