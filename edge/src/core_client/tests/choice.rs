//! Whom a request is sent to, and what a Core loses by failing. Preferences all: the last one left is always used.

use std::time::Duration;

use postern_proto::{rejection::Code, version::Peer};
use tokio::time::advance;

use super::core::{BUDGET, PipeCore, activate, edge, edge_in_zone, peer, poll, polled, zone};
use crate::core_client::{CallError, CoreClient};

const MILLISECOND: Duration = Duration::from_millis(1);
const PENALTY: Duration = Duration::from_millis(250);

#[tokio::test(start_paused = true)]
async fn cores_of_the_own_zone_are_preferred_unless_all_of_them_are_in_trouble() {
    let (registry, client) = edge_in_zone("north");
    let mut near = PipeCore::connect(&registry, &Peer { zone: zone("north"), ..peer(Some("near")) }, 4_096);
    let mut far = PipeCore::connect(&registry, &Peer { zone: zone("south"), ..peer(Some("far")) }, 4_096);
    let mut nowhere = PipeCore::ours(&registry, "nowhere");
    assert_eq!(share(&client, &mut [&mut near, &mut far, &mut nowhere], 20).await, [20, 0, 0]);
    near.fall_silent();
    let shares = share(&client, &mut [&mut near, &mut far, &mut nowhere], 100).await;
    assert!(shares[0] == 0 && shares[1] > 10 && shares[2] > 10, "{shares:?}");
    drop((far, nowhere));
    assert_eq!(share(&client, &mut [&mut near], 5).await, [5]);
}

#[tokio::test(start_paused = true)]
async fn an_edge_without_a_zone_has_no_far_cores() {
    let (registry, client) = edge();
    let mut north = PipeCore::connect(&registry, &Peer { zone: zone("north"), ..peer(Some("1")) }, 4_096);
    let mut nowhere = PipeCore::ours(&registry, "2");
    let shares = share(&client, &mut [&mut north, &mut nowhere], 100).await;
    assert!(shares.iter().all(|share| *share > 10), "{shares:?}");
}

#[tokio::test(start_paused = true)]
async fn a_core_that_fails_fast_attracts_no_traffic() {
    let (registry, client) = edge();
    let mut bad = PipeCore::ours(&registry, "bad");
    fail(&client, &mut bad, Code::Internal).await;
    let mut well = PipeCore::ours(&registry, "well");
    let waiting: Vec<_> = (0..20).map(|_| poll(&client)).collect();
    for _ in &waiting {
        well.request().await;
    }
    assert_eq!(bad.rest(), (vec![], vec![]), "though nothing is in flight there");
}

#[tokio::test(start_paused = true)]
async fn a_penalty_doubles_and_a_new_tunnel_of_the_same_core_keeps_it() {
    let (registry, client) = edge();
    let mut bad = PipeCore::ours(&registry, "bad");
    for _ in 0..2 {
        fail(&client, &mut bad, Code::Unavailable).await;
        advance(PENALTY).await;
    }
    drop(bad);
    let (mut bad, mut well) = (PipeCore::ours(&registry, "bad"), PipeCore::ours(&registry, "well"));
    assert_eq!(share(&client, &mut [&mut bad, &mut well], 20).await, [0, 20]);
    advance(PENALTY).await;
    let shares = share(&client, &mut [&mut bad, &mut well], 100).await;
    assert!(shares[0] > 10, "500 ms after the second failure it is tried again: {shares:?}");
}

#[tokio::test(start_paused = true)]
async fn the_first_success_ends_a_penalty() {
    let (registry, client) = edge();
    let mut core = PipeCore::ours(&registry, "1");
    let slow = poll(&client);
    let id = core.request().await.id;
    fail(&client, &mut core, Code::Internal).await;
    core.reply(id, polled());
    slow.outcome().await.unwrap();
    let mut other = PipeCore::ours(&registry, "2");
    let shares = share(&client, &mut [&mut core, &mut other], 100).await;
    assert!(shares[0] > 10, "{shares:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_a_person_is_no_failure_of_core() {
    let (registry, client) = edge();
    let mut core = PipeCore::ours(&registry, "1");
    for code in [Code::PermissionDenied, Code::NotFound, Code::ResourceExhausted] {
        fail(&client, &mut core, code).await;
    }
    let mut other = PipeCore::ours(&registry, "2");
    let shares = share(&client, &mut [&mut core, &mut other], 100).await;
    assert!(shares[0] > 10, "{shares:?}");
}

#[tokio::test(start_paused = true)]
async fn a_core_that_lost_a_request_with_its_tunnel_is_avoided() {
    let (registry, client) = edge();
    let mut bad = PipeCore::ours(&registry, "bad");
    let call = activate(&client);
    bad.request().await;
    drop(bad);
    assert_eq!(call.outcome().await, Err(CallError::TunnelLost));
    let (mut bad, mut well) = (PipeCore::ours(&registry, "bad"), PipeCore::ours(&registry, "well"));
    assert_eq!(share(&client, &mut [&mut bad, &mut well], 20).await, [0, 20]);
}

#[tokio::test(start_paused = true)]
async fn a_core_that_replied_to_nothing_before_a_deadline_is_avoided() {
    let (registry, client) = edge();
    let mut stuck = PipeCore::ours(&registry, "stuck");
    let call = poll(&client);
    stuck.request().await;
    assert_eq!(call.outcome().await, Err(CallError::DeadlineExceeded));
    let mut well = PipeCore::ours(&registry, "well");
    stuck.rest();
    assert_eq!(share(&client, &mut [&mut stuck, &mut well], 20).await, [0, 20]);
}

#[tokio::test(start_paused = true)]
async fn one_slow_request_among_others_is_no_evidence() {
    let (registry, client) = edge();
    let mut core = PipeCore::ours(&registry, "1");
    let slow = poll(&client);
    core.request().await;
    advance(BUDGET - MILLISECOND).await;
    share(&client, &mut [&mut core], 1).await;
    assert_eq!(slow.outcome().await, Err(CallError::DeadlineExceeded));
    core.rest();
    let mut other = PipeCore::ours(&registry, "2");
    let shares = share(&client, &mut [&mut core, &mut other], 100).await;
    assert!(shares[0] > 10, "{shares:?}");
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_leaves_is_told_to_a_core_that_understands_it() {
    let (registry, client) = edge();
    let mut core = PipeCore::ours(&registry, "1");
    let call = activate(&client);
    let id = core.request().await.id;
    call.leave().await;
    assert_eq!(core.rest(), (vec![], vec![id]));
    drop(core);
    let mut stock = PipeCore::stock(&registry);
    let call = activate(&client);
    stock.request().await;
    call.leave().await;
    assert_eq!(stock.rest(), (vec![], vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_queue_without_room_takes_no_cancel_and_holds_nobody_up() {
    let (registry, client) = edge();
    let mut core = PipeCore::connect(&registry, &peer(Some("1")), 8);
    let call = activate(&client);
    let id = core.request().await.id;
    call.leave().await;
    assert_eq!(core.rest(), (vec![], vec![]), "room is kept for requests");
    assert_eq!(registry.in_flight(), 0, "and the slot of {id} is free");
}

/// Polls one after the other; who answered how many.
async fn share<const N: usize>(client: &CoreClient, cores: &mut [&mut PipeCore; N], times: usize) -> [usize; N] {
    let mut shares = [0; N];
    for _ in 0..times {
        let call = poll(client);
        let (at, id) = loop {
            tokio::task::yield_now().await;
            let asked = cores.iter_mut().enumerate().find_map(|(at, core)| Some((at, core.try_next()?.id)));
            if let Some(asked) = asked {
                break asked;
            }
        };
        cores[at].reply(id, polled());
        call.outcome().await.unwrap();
        shares[at] += 1;
    }
    shares
}

async fn fail(client: &CoreClient, core: &mut PipeCore, code: Code) {
    let call = poll(client);
    let id = core.request().await.id;
    core.reject(id, code);
    call.outcome().await.unwrap_err();
}
