//! A Core that keeps up with a tenth of what is asked: what is refused, and what it still does.

use std::time::Duration;

use postern_proto::{
    client_types::{ClientMfaStartRequest, ClientMfaStartResponse, InstanceInfoRequest, InstanceInfoResponse},
    proxy::{AwaitRemoteMfaFinishRequest, core_request, core_response::Payload},
    rejection::Code,
    version::Peer,
};
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep},
};

use super::core::{
    Call, PipeCore, activate, activated, context, edge, edge_in_zone, peer, poll, polled, refused, zone,
};
use crate::core_client::{CallError, CoreClient};

const SERVED_A_SECOND: u32 = 300;
const OFFERED_A_SECOND: u32 = 10 * SERVED_A_SECOND;
/// One in so many is a login.
const LOGINS: u32 = 20;
const SECONDS: u32 = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Poll,
    Login,
}

struct Outcome {
    kind: Kind,
    error: Option<CallError>,
    /// In the time of the test.
    waited: Duration,
    /// Of this machine.
    took: Duration,
}

#[tokio::test(start_paused = true)]
async fn ten_times_too_much_costs_polls_and_neither_goodput_nor_logins() {
    let (registry, client) = edge();
    let mut serving = JoinSet::new();
    serving.spawn(serve_slowly(PipeCore::ours(&registry, "slow")));
    let outcomes = offer(&client).await;

    let served = outcomes.iter().filter(|outcome| outcome.error.is_none()).count();
    let refused = outcomes.iter().filter(|outcome| outcome.error == Some(CallError::Overloaded)).count();
    assert_eq!(served + refused, outcomes.len(), "nothing is lost, and nothing waits in vain");
    assert!(served * 10 >= (SERVED_A_SECOND * SECONDS) as usize * 9, "goodput: {served}");

    let logins = outcomes.iter().filter(|outcome| outcome.kind == Kind::Login);
    let (well, all) = logins.fold((0, 0), |(well, all), login| (well + usize::from(login.error.is_none()), all + 1));
    assert!(well * 100 >= all * 95, "logins: {well} of {all}");
    let waited = outcomes.iter().map(|outcome| outcome.waited).max().unwrap();
    // Most of it in the first moment, when it could still be a bunch.
    assert!(waited < Duration::from_secs(2), "nobody waits for long: {waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_waits_for_nothing_and_costs_next_to_nothing() {
    let (registry, client) = edge();
    let mut serving = JoinSet::new();
    serving.spawn(serve_slowly(PipeCore::ours(&registry, "slow")));
    let outcomes = offer(&client).await;

    let refused = outcomes.iter().filter(|outcome| outcome.error.is_some());
    let (waited, mut took): (Vec<_>, Vec<_>) = refused.map(|outcome| (outcome.waited, outcome.took)).unzip();
    assert!(waited.iter().all(Duration::is_zero));
    took.sort_unstable();
    let median = took[took.len() / 2];
    assert!(median < Duration::from_millis(1), "{median:?}");
}

#[tokio::test(start_paused = true)]
async fn when_the_crowd_has_gone_polls_are_served_again_at_once() {
    let (registry, client) = edge();
    let mut serving = JoinSet::new();
    serving.spawn(serve_slowly(PipeCore::ours(&registry, "slow")));
    offer(&client).await;
    assert_eq!(registry.in_flight(), 0);
    assert_eq!(call(client, Kind::Poll).await.error, None);
}

#[tokio::test(start_paused = true)]
async fn a_busy_core_of_the_own_zone_leaves_polls_to_one_that_is_not_busy() {
    let (registry, client) = edge_in_zone("north");
    let near = PipeCore::connect(&registry, &Peer { zone: zone("north"), ..peer(Some("slow")) }, 4_096);
    let mut serving = JoinSet::new();
    serving.spawn(serve_slowly(near));
    let mut free = PipeCore::ours(&registry, "free");
    let mut calls = JoinSet::new();
    calls.spawn({
        let client = client.clone();
        async move { offer(&client).await }
    });
    let answering = async {
        loop {
            let request = free.request().await;
            free.reply(request.id, reply_to(&request.payload));
        }
    };
    let outcomes = tokio::select! {
        never = answering => never,
        outcomes = calls.join_next() => outcomes.unwrap().unwrap(),
    };
    assert!(outcomes.iter().all(|outcome| outcome.error.is_none()));
    let at_once = outcomes.iter().filter(|outcome| outcome.waited.is_zero()).count();
    assert!(at_once * 10 > outcomes.len() * 8 && at_once < outcomes.len(), "both have served: {at_once}");
}

#[tokio::test(start_paused = true)]
async fn polls_that_wait_keep_out_nobody_whom_core_serves_before_them() {
    let (registry, client) = edge();
    let mut ours = PipeCore::ours(&registry, "ours");
    let _polls = keep_waiting(&client, &mut ours).await;
    let call = activate(&client);
    let id = ours.request().await.id;
    ours.reply(id, activated());
    assert_eq!(call.outcome().await, Ok(()));

    let (registry, client) = edge();
    let mut stock = PipeCore::stock(&registry);
    let _polls = keep_waiting(&client, &mut stock).await;
    assert_eq!(activate(&client).outcome().await, Err(CallError::Overloaded), "a stock Core serves in order");
}

#[tokio::test(start_paused = true)]
async fn who_is_told_that_core_has_no_room_for_polls_lets_fewer_in_and_everybody_else() {
    let (registry, client) = edge();
    let mut core = PipeCore::ours(&registry, "ours");
    let mut polls = Vec::new();
    for _ in 0..20 {
        polls.push((poll(&client), core.request().await.id));
    }
    let (turned_away, id) = polls.pop().unwrap();
    core.reject(id, Code::ResourceExhausted);
    assert_eq!(turned_away.outcome().await, Err(refused(Code::ResourceExhausted)));
    assert_eq!(poll(&client).outcome().await, Err(CallError::Overloaded), "19 wait, and there is room for 16");
    let person = activate(&client);
    let id = core.request().await.id;
    core.reply(id, activated());
    assert_eq!(person.outcome().await, Ok(()));

    let waiting = AwaitRemoteMfaFinishRequest::default();
    let request = tokio::select! {
        over = client.wait(waiting, context()) => panic!("a wait for a person is no poll: {over:?}"),
        request = core.request() => request,
    };
    assert!(matches!(request.payload, Some(core_request::Payload::AwaitRemoteMfaFinish(_))));

    sleep(Duration::from_millis(2_100)).await;
    let later = poll(&client);
    let id = core.request().await.id;
    core.reply(id, polled());
    assert!(later.outcome().await.is_ok(), "after two seconds there is room for 20");
}

/// Polls, for seconds of work at the pace at which this Core replies.
async fn keep_waiting(client: &CoreClient, core: &mut PipeCore) -> Vec<Call<InstanceInfoResponse>> {
    let mut polls = Vec::new();
    let mut ids = Vec::new();
    for _ in 0..60 {
        polls.push(poll(client));
        ids.push(core.request().await.id);
    }
    for id in ids.drain(..10) {
        sleep(Duration::from_millis(100)).await;
        core.reply(id, polled());
    }
    polls
}

/// Everything that is offered, evenly over the seconds, and what became of it.
async fn offer(client: &CoreClient) -> Vec<Outcome> {
    let mut calls = JoinSet::new();
    let mut ticks = interval(Duration::from_secs(1) / 100);
    for _ in 0..SECONDS * 100 {
        ticks.tick().await;
        for nth in 0..OFFERED_A_SECOND / 100 {
            let kind = if nth % LOGINS == 0 { Kind::Login } else { Kind::Poll };
            calls.spawn(call(client.clone(), kind));
        }
    }
    calls.join_all().await
}

async fn call(client: CoreClient, kind: Kind) -> Outcome {
    let (begun, began) = (Instant::now(), std::time::Instant::now());
    let error = match kind {
        Kind::Poll => client.call(InstanceInfoRequest::default(), context()).await.err(),
        Kind::Login => client.call(ClientMfaStartRequest::default(), context()).await.err(),
    };
    Outcome { kind, error, waited: begun.elapsed(), took: began.elapsed() }
}

/// One request after the other, each as long as the next.
async fn serve_slowly(mut core: PipeCore) {
    let mut ticks = interval(Duration::from_secs(1) / SERVED_A_SECOND);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let request = core.request().await;
        core.reply(request.id, reply_to(&request.payload));
    }
}

fn reply_to(request: &Option<core_request::Payload>) -> Payload {
    match request {
        Some(core_request::Payload::ClientMfaStart(_)) => Payload::ClientMfaStart(ClientMfaStartResponse::default()),
        _ => polled(),
    }
}
