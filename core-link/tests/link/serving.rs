//! Requests and replies on one tunnel.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use postern_core_link::{Limits, Reply, Request, Supervisor, SupervisorConfig, testing::Manner};
use postern_proto::{
    client_types::InstanceInfoRequest,
    limits::{APPROVAL_BUDGET, REQUEST_BUDGET},
    link::{Probe, RequestContext},
    proxy::{AwaitRemoteMfaFinishRequest, CoreRequest, DeviceInfo, core_request, core_response},
    rejection::Rejection,
};
use tokio::{sync::Semaphore, time::Instant};
use tonic::Code;

use crate::{Answering, EDGE, config, connected, echo, greeting, in_time, rejected, start, started, status};

#[tokio::test]
async fn the_session_keys_come_first_and_then_the_ring() {
    let (_core, _edge, mut tunnel) = connected(Manner::Ours, echo).await;
    let first = in_time(tunnel.next()).await.unwrap();
    let second = in_time(tunnel.next()).await.unwrap();
    assert!(
        matches!(first.payload, Some(core_response::Payload::InitialInfo(info)) if info.private_cookies_key == [1; 64])
    );
    assert!(matches!(second.payload, Some(core_response::Payload::SessionKeyRing(ring)) if ring.epoch == 1));
    assert_eq!((first.id, second.id), (0, 0));
}

#[tokio::test]
async fn a_stock_edge_gets_the_primary_key_and_nothing_of_ours() {
    let (core, _edge, mut tunnel) = connected(Manner::Stock, echo).await;
    tunnel.send(1, start("a")).await;
    let mut kinds = Vec::new();
    while kinds.len() < 2 {
        kinds.push(in_time(tunnel.next()).await.unwrap().payload.unwrap());
    }
    core.shutdown().await;
    while let Some(message) = in_time(tunnel.next()).await {
        kinds.push(message.payload.unwrap());
    }
    assert!(
        matches!(&kinds[..], [core_response::Payload::InitialInfo(_), reply] if *reply == started("a")),
        "{kinds:?}"
    );
}

#[tokio::test]
async fn other_session_keys_are_pushed_to_a_live_tunnel() {
    let (core, _edge, mut tunnel) = connected(Manner::Ours, echo).await;
    core.set_greeting(greeting(2));
    in_time(async {
        loop {
            let push = tunnel.next().await.unwrap();
            if matches!(push.payload, Some(core_response::Payload::SessionKeyRing(ring)) if ring.epoch == 2) {
                return;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_reply_has_the_id_of_its_request() {
    let (_core, _edge, mut tunnel) = connected(Manner::Ours, echo).await;
    for id in [1, 7, u64::MAX] {
        tunnel.send(id, start(&id.to_string())).await;
    }
    for id in [1, 7, u64::MAX] {
        assert_eq!(in_time(tunnel.reply(id)).await, Some(started(&id.to_string())));
    }
}

#[tokio::test]
async fn when_to_come_back_is_told_to_an_edge_of_ours_and_to_no_stock_one() {
    let refusal = Rejection::new(Code::ResourceExhausted, "too many attempts").retry_after(90);
    for (manner, told) in [(Manner::Ours, Some(90)), (Manner::Stock, None)] {
        let answer = refusal.clone();
        let (_core, _edge, mut tunnel) = connected(manner, move |_| {
            let answer = answer.clone();
            async { Err(answer) }
        })
        .await;
        tunnel.send(1, start("a")).await;
        let expected = Rejection { retry_after_seconds: told, ..refusal.clone() };
        assert_eq!(in_time(tunnel.reply(1)).await, Some(core_response::Payload::CoreError(expected.into())));
    }
}

#[tokio::test]
async fn a_slow_request_never_holds_up_another() {
    let gate = Arc::new(Semaphore::new(0));
    let opened = Arc::clone(&gate);
    let (_core, _edge, mut tunnel) = connected(Manner::Ours, move |request: Request| {
        let gate = Arc::clone(&opened);
        async move {
            if request.payload == start("slow") {
                drop(gate.acquire().await);
            }
            echo(request).await
        }
    })
    .await;

    tunnel.send(1, start("slow")).await;
    tunnel.send(2, start("fast")).await;

    assert_eq!(in_time(tunnel.reply(2)).await, Some(started("fast")));
    gate.add_permits(1);
    assert_eq!(in_time(tunnel.reply(1)).await, Some(started("slow")));
}

#[tokio::test]
async fn a_panic_in_a_handler_is_one_internal_reply() {
    let (_core, _edge, mut tunnel) = connected(Manner::Ours, |request: Request| async move {
        assert!(request.payload != start("bug"), "a bug");
        echo(request).await
    })
    .await;

    tunnel.send(1, start("bug")).await;
    tunnel.send(2, start("fine")).await;

    assert_eq!(in_time(tunnel.reply(1)).await, rejected(Code::Internal, "internal error"));
    assert_eq!(in_time(tunnel.reply(2)).await, Some(started("fine")));
}

#[tokio::test]
async fn a_probe_is_answered_at_once() {
    let (_core, _edge, mut tunnel) = connected(Manner::Ours, echo).await;
    tunnel.send(0, core_request::Payload::Probe(Probe { sequence: 42 })).await;
    in_time(async {
        while let Some(message) = tunnel.next().await {
            if let Some(core_response::Payload::ProbeReply(reply)) = message.payload {
                assert_eq!(reply.sequence, 42);
                return;
            }
        }
        panic!("the tunnel ended");
    })
    .await;
}

/// What the handler is told of one request.
async fn as_handled(manner: Manner, message: CoreRequest) -> (Request, Instant) {
    let seen = Arc::new(Mutex::new(None));
    let cell = Arc::clone(&seen);
    let (_core, _edge, mut tunnel) = connected(manner, move |request: Request| {
        *cell.lock().expect("no panic before") = Some((request, Instant::now()));
        async { Ok(core_response::Payload::Empty(())) }
    })
    .await;
    let id = message.id;
    tunnel.send_message(message).await;
    in_time(tunnel.reply(id)).await;
    seen.lock().expect("no panic before").take().expect("the handler was called")
}

fn with_context(deadline_ms: u32, operation_id: &str) -> CoreRequest {
    CoreRequest {
        id: 1,
        device_info: Some(DeviceInfo { ip_address: "192.0.2.1".to_owned(), ..DeviceInfo::default() }),
        payload: Some(start("a")),
        context: Some(RequestContext {
            operation_id: operation_id.to_owned(),
            deadline_ms,
            ..RequestContext::default()
        }),
    }
}

#[tokio::test]
async fn the_handler_learns_who_asks_and_for_which_operation() {
    let (request, _) = as_handled(Manner::Ours, with_context(0, "op-1")).await;
    assert_eq!(request.edge, EDGE);
    assert_eq!(request.device_info.unwrap().ip_address, "192.0.2.1");
    assert_eq!(request.operation_id.unwrap().expose(), "op-1");
}

#[tokio::test]
async fn a_stock_edge_has_no_operations_and_no_say_in_the_deadline() {
    let (request, handled) = as_handled(Manner::Stock, with_context(1, "op-1")).await;
    assert!(request.operation_id.is_none());
    assert!(request.deadline - handled > REQUEST_BUDGET / 2);
}

#[tokio::test]
async fn the_deadline_is_what_the_edge_has_left_but_never_more_than_the_budget() {
    let (request, handled) = as_handled(Manner::Ours, with_context(1500, "")).await;
    assert!(request.deadline - handled <= Duration::from_millis(1500));
    assert!(request.operation_id.is_none());
    let (request, handled) = as_handled(Manner::Ours, with_context(u32::MAX, "")).await;
    assert!(request.deadline - handled <= REQUEST_BUDGET);
}

#[tokio::test]
async fn a_wait_for_a_person_may_take_a_minute() {
    let payload = core_request::Payload::AwaitRemoteMfaFinish(AwaitRemoteMfaFinishRequest { token: "t".to_owned() });
    let message = CoreRequest { id: 1, payload: Some(payload), ..CoreRequest::default() };
    let (request, handled) = as_handled(Manner::Stock, message).await;
    assert!(request.deadline - handled > APPROVAL_BUDGET - Duration::from_secs(5));
}

#[tokio::test]
async fn a_bad_operation_id_is_refused_before_any_effect() {
    let (_core, _edge, mut tunnel) = connected(Manner::Ours, |_| async { panic!("must not be reached") }).await;
    tunnel.send_message(with_context(0, "a b")).await;
    let refused = in_time(tunnel.reply(1)).await;
    assert_eq!(refused, rejected(Code::InvalidArgument, "an operation id has 1 to 64 letters, digits, '-' or '_'"));
}

#[tokio::test]
async fn nothing_is_sent_after_the_deadline() {
    let (_core, _edge, mut tunnel) = connected(Manner::Ours, |request: Request| async move {
        if request.payload == start("never") {
            std::future::pending::<()>().await;
        }
        echo(request).await
    })
    .await;
    let hopeless = CoreRequest { id: 1, payload: Some(start("never")), ..with_context(1, "") };
    tunnel.send_message(hopeless).await;
    in_time(status(&_core, |status| status.in_flight == 0)).await;
    tunnel.send(2, start("next")).await;
    in_time(async {
        loop {
            let message = tunnel.next().await.unwrap();
            assert_ne!(message.id, 1);
            if message.id == 2 {
                return;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn one_request_too_many_is_refused_at_once() {
    let mut edge = postern_core_link::testing::FakeEdge::start(Manner::Ours).await;
    let limits = Limits { requests_max: 2, ..Limits::default() };
    let never = |_: Request| std::future::pending::<Reply>();
    let core = Supervisor::start(SupervisorConfig { limits, ..config() }, Answering(never));
    core.set_edges(vec![edge.edge(EDGE)]);
    let mut tunnel = in_time(edge.tunnel()).await;

    for id in 1..=3 {
        tunnel.send(id, start("a")).await;
    }

    assert_eq!(in_time(tunnel.reply(3)).await, rejected(Code::ResourceExhausted, "too many requests at once"));
    assert_eq!(status(&core, |status| status.in_flight > 0).await.in_flight, 2);
}

#[tokio::test]
async fn polls_leave_a_quarter_of_the_room_to_people() {
    let mut edge = postern_core_link::testing::FakeEdge::start(Manner::Ours).await;
    let limits = Limits { requests_max: 4, ..Limits::default() };
    let never = |_: Request| std::future::pending::<Reply>();
    let core = Supervisor::start(SupervisorConfig { limits, ..config() }, Answering(never));
    core.set_edges(vec![edge.edge(EDGE)]);
    let mut tunnel = in_time(edge.tunnel()).await;
    for id in 1..=4 {
        tunnel.send(id, core_request::Payload::InstanceInfo(InstanceInfoRequest::default())).await;
    }
    assert_eq!(in_time(tunnel.reply(4)).await, rejected(Code::ResourceExhausted, "too many requests at once"));
    tunnel.send(5, start("a")).await;
    in_time(status(&core, |status| status.in_flight == 4)).await;
}

#[tokio::test]
async fn a_burst_of_requests_gets_one_reply_each() {
    let (_core, _edge, mut tunnel) = connected(Manner::Ours, echo).await;
    let mut missing: std::collections::BTreeSet<u64> = (1..=2000).collect();
    for batch in (1..=2000).collect::<Vec<u64>>().chunks(200) {
        for id in batch {
            tunnel.send(*id, start("a")).await;
        }
        for _ in batch {
            let reply = in_time(async {
                loop {
                    let message = tunnel.next().await.unwrap();
                    if message.id != 0 {
                        return message;
                    }
                }
            })
            .await;
            assert_eq!(reply.payload, Some(started("a")));
            assert!(missing.remove(&reply.id), "{} was answered twice", reply.id);
        }
    }
    assert!(missing.is_empty());
}
