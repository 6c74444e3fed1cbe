//! Requests whose Edge says that nobody waits any more.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use postern_core_link::{Limits, Reply, Request, Supervisor, SupervisorConfig, testing::Manner};
use postern_proto::{
    client_types::InstanceInfoRequest,
    link::{Cancel, RequestContext},
    proxy::{AwaitRemoteMfaFinishRequest, CoreRequest, CoreResponse, core_request},
};

use tokio::sync::Semaphore;

use crate::{Answering, EDGE, config, connected, echo, in_time, start, started, status};

#[tokio::test]
async fn the_handler_of_a_request_that_is_called_off_is_dropped_and_nobody_is_answered() {
    let (core, _edge, mut tunnel) = connected(Manner::Ours, slow_or_echo).await;
    tunnel.send(1, start("slow")).await;
    tunnel.send(2, start("slow")).await;
    in_time(status(&core, |status| status.in_flight == 2)).await;

    tunnel.send(0, cancel(1)).await;

    in_time(status(&core, |status| status.in_flight == 1)).await;
    tunnel.send(3, start("next")).await;
    let first = in_time(async {
        loop {
            let message = tunnel.next().await.unwrap();
            if message.id != 0 {
                return message;
            }
        }
    })
    .await;
    assert_eq!((first.id, first.payload), (3, Some(started("next"))));
}

#[tokio::test]
async fn its_permit_is_free_again() {
    let mut edge = postern_core_link::testing::FakeEdge::start(Manner::Ours).await;
    let limits = Limits { requests_max: 1, ..Limits::default() };
    let core = Supervisor::start(SupervisorConfig { limits, ..config() }, Answering(slow_or_echo));
    core.set_edges(vec![edge.edge(EDGE)]);
    let mut tunnel = in_time(edge.tunnel()).await;
    tunnel.send(1, start("slow")).await;
    in_time(status(&core, |status| status.in_flight == 1)).await;
    tunnel.send(0, cancel(1)).await;
    in_time(status(&core, |status| status.in_flight == 0)).await;
    tunnel.send(2, start("next")).await;
    assert_eq!(in_time(tunnel.reply(2)).await, Some(started("next")));
}

/// NGINX asks another Edge for the same, which is to find it done.
#[tokio::test]
async fn an_operation_under_way_goes_on_to_its_end_and_nobody_is_answered() {
    let (release, ended) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let (wait, count) = (Arc::clone(&release), Arc::clone(&ended));
    let (core, _edge, mut tunnel) = connected(Manner::Ours, move |request: Request| {
        let (wait, count) = (Arc::clone(&wait), Arc::clone(&count));
        async move {
            if request.payload == start("slow") {
                wait.acquire().await.unwrap().forget();
                count.fetch_add(1, Ordering::SeqCst);
            }
            echo(request).await
        }
    })
    .await;
    tunnel.send_message(operation(1, start("slow"))).await;
    in_time(status(&core, |status| status.in_flight == 1)).await;
    tunnel.send(0, cancel(1)).await;
    // Read after the cancel, so that has been taken in.
    tunnel.send(2, start("next")).await;
    assert_eq!(in_time(tunnel.reply(2)).await, Some(started("next")));
    assert_eq!(ended.load(Ordering::SeqCst), 0);

    release.add_permits(1);

    in_time(status(&core, |status| status.in_flight == 0)).await;
    assert_eq!(ended.load(Ordering::SeqCst), 1);
    tunnel.send(3, start("last")).await;
    let next = in_time(async {
        loop {
            if let message @ CoreResponse { id: 1.., .. } = tunnel.next().await.unwrap() {
                return message;
            }
        }
    });
    assert_eq!(next.await.id, 3);
}

#[tokio::test]
async fn an_operation_that_only_reads_is_dropped() {
    let (core, _edge, tunnel) = connected(Manner::Ours, |_| pending()).await;
    let poll = core_request::Payload::InstanceInfo(InstanceInfoRequest { token: "t".to_owned() });
    tunnel.send_message(operation(1, poll)).await;
    in_time(status(&core, |status| status.in_flight == 1)).await;
    tunnel.send(0, cancel(1)).await;
    in_time(status(&core, |status| status.in_flight == 0)).await;
}

#[tokio::test]
async fn a_wait_for_a_person_can_be_called_off() {
    let running = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&running);
    let (_core, _edge, tunnel) = connected(Manner::Ours, move |_| {
        let running = Running::begin(&count);
        async move {
            let _running = running;
            pending::<Reply>().await
        }
    })
    .await;
    let wait = AwaitRemoteMfaFinishRequest { token: "t".to_owned() };
    tunnel.send(1, core_request::Payload::AwaitRemoteMfaFinish(wait)).await;
    eventually(|| running.load(Ordering::SeqCst) == 1).await;
    tunnel.send(0, cancel(1)).await;
    eventually(|| running.load(Ordering::SeqCst) == 0).await;
}

#[tokio::test]
async fn what_is_called_off_too_late_or_never_was_disturbs_nobody() {
    let (_core, _edge, mut tunnel) = connected(Manner::Ours, echo).await;
    tunnel.send(1, start("a")).await;
    assert_eq!(in_time(tunnel.reply(1)).await, Some(started("a")));
    for id in [1, 99, 0, u64::MAX] {
        tunnel.send(0, cancel(id)).await;
    }
    tunnel.send(2, start("b")).await;
    assert_eq!(in_time(tunnel.reply(2)).await, Some(started("b")));
}

/// Counts itself while it lives.
struct Running(Arc<AtomicUsize>);

impl Running {
    fn begin(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Answers everything but one token.
async fn slow_or_echo(request: Request) -> Reply {
    if request.payload == start("slow") {
        return pending().await;
    }
    echo(request).await
}

fn operation(id: u64, payload: core_request::Payload) -> CoreRequest {
    let context = RequestContext { operation_id: format!("operation-{id}"), ..RequestContext::default() };
    CoreRequest { id, payload: Some(payload), context: Some(context), ..CoreRequest::default() }
}

fn cancel(request_id: u64) -> core_request::Payload {
    core_request::Payload::Cancel(Cancel { request_id })
}

async fn eventually(condition: impl Fn() -> bool) {
    in_time(async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
