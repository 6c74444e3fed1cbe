//! Liveness, over a pipe and in paused time.

use std::{future::pending, sync::Arc, time::Duration};

use postern_proto::{
    limits::{REQUEST_BUDGET, SILENCE_CLOSED},
    link::{Cancel, Probe, RequestContext, SessionKey, SessionKeyRing},
    proxy::{CoreRequest, core_request, core_response},
};
use tokio::{
    io::duplex,
    sync::{mpsc, watch},
    task::JoinSet,
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Tunnel, TunnelEnd};
use crate::{
    dialer,
    edge::EdgeId,
    greeting::Greeting,
    handler::{Handler, Reply, Request},
    instance::CoreInstance,
    link::{Announcements, Core},
    supervisor::{Limits, SupervisorConfig},
    surroundings::Surroundings,
    testing::{FakeTunnel, Manner, Shared, serve_proxy},
    web_certificate::WebServing,
};

struct NeverAnswers;

impl Handler for NeverAnswers {
    async fn handle(&self, _: Request) -> Reply {
        pending().await
    }
}

struct Pair {
    core: Tunnel<NeverAnswers>,
    edge: FakeTunnel,
    _edge: JoinSet<()>,
    _pushes: (watch::Sender<Greeting>, watch::Sender<WebServing>),
}

async fn pair(manner: Manner) -> Pair {
    let (ours, theirs) = duplex(64 * 1024);
    let (shared, mut tunnels, _) = Shared::new(manner, None);
    let mut edge = JoinSet::new();
    edge.spawn(serve_proxy(theirs, shared));
    let instance = CoreInstance::random();
    let address = "edge:1".parse().expect("an address");
    let dialed = dialer::introduce(ours, &address, &instance).await.expect("the Edge opens a tunnel");
    let config = SupervisorConfig { instance, greeting: greeting(), limits: Limits::default() };
    let (greeting, greetings) = watch::channel(greeting());
    let (web, web_serving) = watch::channel(WebServing::Never);
    let announcements = Announcements { greetings, web: web_serving };
    let core = Core::new(config, Surroundings::default(), announcements, TaskTracker::new(), NeverAnswers);
    let core = Tunnel::new(EdgeId(1), Arc::new(core), dialed);
    let tunnel = tunnels.recv().await.expect("the Edge opened a tunnel");
    Pair { core, edge: tunnel, _edge: edge, _pushes: (greeting, web) }
}

fn greeting() -> Greeting {
    let keys = vec![SessionKey { id: vec![1; 8], key: vec![1; 64] }];
    Greeting::new(SessionKeyRing { epoch: 1, primary_id: vec![1; 8], keys }).expect("the primary is there")
}

async fn serve(core: Tunnel<NeverAnswers>) -> TunnelEnd {
    let (_purges, mut none) = mpsc::channel(1);
    core.serve(&CancellationToken::new(), &mut none).await
}

#[tokio::test(start_paused = true)]
async fn a_silent_tunnel_is_probed_each_second_and_closed_after_six() {
    let Pair { core, mut edge, _edge, _pushes } = pair(Manner::Mute).await;
    let begun = Instant::now();

    let end = serve(core).await;

    assert!(matches!(end, TunnelEnd::Silent), "{end:?}");
    assert_eq!(begun.elapsed(), SILENCE_CLOSED);
    let mut probes = 0;
    while let Some(message) = edge.next().await {
        probes += u64::from(matches!(message.payload, Some(core_response::Payload::Probe(_))));
    }
    assert_eq!(probes, 5);
}

/// What the Edge sends arrives, and nothing that is sent to it.
#[tokio::test(start_paused = true)]
async fn a_tunnel_on_which_only_the_edge_is_heard_is_closed_after_six_seconds_too() {
    let Pair { core, edge, _edge, _pushes } = pair(Manner::Mute).await;
    let begun = Instant::now();
    let talk = async {
        for sequence in 1.. {
            tokio::time::sleep(Duration::from_millis(300)).await;
            edge.send(0, core_request::Payload::Probe(Probe { sequence })).await;
        }
    };

    let end = tokio::select! {
        end = serve(core) => end,
        () = talk => unreachable!("it talks for ever"),
    };

    assert!(matches!(end, TunnelEnd::Unheard), "{end:?}");
    assert_eq!(begun.elapsed(), SILENCE_CLOSED);
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_whose_probes_are_answered_stays() {
    let Pair { core, edge, _edge, _pushes } = pair(Manner::Ours).await;
    let served = tokio::time::timeout(Duration::from_secs(3600), serve(core)).await;
    assert!(served.is_err(), "{served:?}");
    drop(edge);
}

#[tokio::test(start_paused = true)]
async fn a_stock_edge_is_not_probed_and_may_be_silent() {
    let Pair { core, mut edge, _edge, _pushes } = pair(Manner::Stock).await;
    let served = tokio::time::timeout(Duration::from_secs(3600), serve(core)).await;
    assert!(served.is_err(), "{served:?}");
    let greeting = edge.next().await.unwrap().payload;
    assert!(matches!(greeting, Some(core_response::Payload::InitialInfo(_))));
    assert_eq!(edge.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_nobody_answers_is_dropped_at_its_deadline() {
    let Pair { core, mut edge, _edge, _pushes } = pair(Manner::Ours).await;
    let in_flight = core.requests();
    let mut serving = JoinSet::new();
    serving.spawn(serve(core));
    let begun = Instant::now();

    edge.send(1, core_request::Payload::EnrollmentStart(Default::default())).await;
    in_flight.close();
    while in_flight.is_empty() {
        tokio::task::yield_now().await;
    }
    in_flight.wait().await;

    assert_eq!(begun.elapsed(), REQUEST_BUDGET);
    serving.shutdown().await;
    while let Some(message) = edge.next().await {
        assert_ne!(message.id, 1);
    }
}

/// Both were read before the request got its turn.
#[tokio::test(start_paused = true)]
async fn an_operation_that_is_called_off_before_it_has_begun_is_dropped() {
    let Pair { core, edge, _edge, _pushes } = pair(Manner::Ours).await;
    let in_flight = core.requests();
    let begun = Instant::now();
    let context = RequestContext { operation_id: "operation".to_owned(), ..RequestContext::default() };
    let payload = Some(core_request::Payload::ActivateUser(Default::default()));
    edge.send_message(CoreRequest { id: 1, payload, context: Some(context), ..CoreRequest::default() }).await;
    edge.send(0, core_request::Payload::Cancel(Cancel { request_id: 1 })).await;
    edge.send(2, core_request::Payload::InstanceInfo(Default::default())).await;
    let mut serving = JoinSet::new();
    serving.spawn(serve(core));
    while in_flight.len() != 1 {
        tokio::task::yield_now().await;
    }
    edge.send(0, core_request::Payload::Cancel(Cancel { request_id: 2 })).await;
    in_flight.close();
    in_flight.wait().await;

    assert_eq!(begun.elapsed(), Duration::ZERO);
    serving.shutdown().await;
}
