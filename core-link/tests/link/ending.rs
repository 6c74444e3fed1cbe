//! Disable, purge and shutdown: the Edge is told, what is in flight is answered.

use std::{sync::Arc, time::Duration};

use postern_core_link::{
    EdgeId, PurgeError, Request,
    testing::{FakeEdge, FakeTunnel, Manner, PurgeSeen},
};
use postern_proto::proxy::{AwaitRemoteMfaFinishRequest, core_request, core_response};
use tokio::sync::Semaphore;
use tonic::Code;

use crate::{EDGE, connected, core, echo, in_time, is_connected, start, started, status};

/// A handler that answers when it is let.
fn gated(
    gate: &Arc<Semaphore>,
) -> impl Fn(Request) -> futures::future::BoxFuture<'static, postern_core_link::Reply> + use<> {
    let gate = Arc::clone(gate);
    move |request| {
        let gate = Arc::clone(&gate);
        Box::pin(async move {
            drop(gate.acquire().await);
            echo(request).await
        })
    }
}

struct OnDrop(Arc<Semaphore>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.add_permits(1);
    }
}

async fn until_draining(tunnel: &mut FakeTunnel) {
    in_time(async {
        loop {
            let message = tunnel.next().await.expect("the tunnel is open");
            if matches!(message.payload, Some(core_response::Payload::Draining(_))) {
                return;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn an_edge_that_is_left_out_is_drained_and_not_purged() {
    let gate = Arc::new(Semaphore::new(0));
    let (core, edge, mut tunnel) = connected(Manner::Ours, gated(&gate)).await;
    tunnel.send(1, start("sent before")).await;
    status(&core, |status| status.in_flight == 1).await;

    core.set_edges(vec![]);
    until_draining(&mut tunnel).await;
    tunnel.send(2, start("on its way")).await;
    gate.add_permits(2);

    assert_eq!(in_time(tunnel.reply(1)).await, Some(started("sent before")));
    assert_eq!(in_time(tunnel.reply(2)).await, Some(started("on its way")));
    assert_eq!(in_time(tunnel.next()).await, None);
    assert!(core.statuses().is_empty());
    assert!(edge.purges().is_empty() && edge.is_adopted());
}

#[tokio::test]
async fn a_tunnel_that_opens_while_its_link_is_stopped_is_drained() {
    let mut edge = FakeEdge::start(Manner::OpensSlowly).await;
    let core = core(echo);
    core.set_edges(vec![edge.edge(EDGE)]);
    let mut tunnel = in_time(edge.tunnel()).await;
    tunnel.send(1, start("a")).await;

    core.set_edges(vec![]);

    until_draining(&mut tunnel).await;
    assert_eq!(in_time(tunnel.reply(1)).await, Some(started("a")));
    assert_eq!(in_time(tunnel.next()).await, None);
}

#[tokio::test]
async fn a_purge_follows_the_last_reply_while_the_tunnel_is_open() {
    let gate = Arc::new(Semaphore::new(0));
    let (core, edge, mut tunnel) = connected(Manner::Ours, gated(&gate)).await;
    tunnel.send(1, start("a")).await;
    status(&core, |status| status.in_flight == 1).await;

    let (purged, ()) = in_time(async {
        tokio::join!(core.purge(EDGE), async {
            until_draining(&mut tunnel).await;
            assert!(edge.purges().is_empty());
            gate.add_permits(1);
            assert_eq!(tunnel.reply(1).await, Some(started("a")));
            assert_eq!(tunnel.next().await, None);
        })
    })
    .await;

    purged.unwrap();
    assert_eq!(edge.purges(), [PurgeSeen { tunnel_open: true, draining: true }]);
    assert!(!edge.is_adopted());
}

#[tokio::test]
async fn a_stock_edge_is_purged_without_words_it_does_not_know() {
    let (core, edge, tunnel) = connected(Manner::Stock, echo).await;
    in_time(core.purge(EDGE)).await.unwrap();
    assert_eq!(edge.purges(), [PurgeSeen { tunnel_open: true, draining: false }]);
    drop(tunnel);
}

#[tokio::test]
async fn a_purged_edge_is_not_dialled_any_more() {
    let (core, mut edge, tunnel) = connected(Manner::Ours, echo).await;
    in_time(core.purge(EDGE)).await.unwrap();
    drop(tunnel);
    assert!(matches!(in_time(core.purge(EDGE)).await, Err(PurgeError::NotConnected(EDGE))));
    core.shutdown().await;
    assert_eq!(in_time(edge.dials(1)).await.len(), 1);
}

#[tokio::test]
async fn a_purge_needs_a_tunnel() {
    let mut edge = FakeEdge::start(Manner::Ours).await;
    edge.crash().await;
    let core = core(echo);
    core.set_edges(vec![edge.edge(EDGE)]);
    assert!(matches!(in_time(core.purge(EDGE)).await, Err(PurgeError::NotConnected(EDGE))));
    assert!(matches!(in_time(core.purge(EdgeId(8))).await, Err(PurgeError::NotConnected(EdgeId(8)))));
}

#[tokio::test]
async fn a_refused_purge_leaves_the_link_alive() {
    let (core, mut edge, tunnel) = connected(Manner::Ours, echo).await;
    edge.behave(Manner::Refuses(Code::PermissionDenied, "no"));
    let error = in_time(core.purge(EDGE)).await.unwrap_err();
    assert_eq!(error.to_string(), "Edge 7 refused (PermissionDenied): no");
    drop(tunnel);
    edge.behave(Manner::Ours);
    in_time(edge.dials(2)).await;
}

#[tokio::test]
async fn a_purge_without_an_answer_ends() {
    let (core, edge, tunnel) = connected(Manner::IgnoresCalls, echo).await;
    assert!(matches!(in_time(core.purge(EDGE)).await, Err(PurgeError::TimedOut(EDGE))));
    drop((tunnel, edge));
}

#[tokio::test]
async fn a_tunnel_lost_on_the_way_to_a_purge_is_said_so() {
    let gate = Arc::new(Semaphore::new(0));
    let (core, _edge, mut tunnel) = connected(Manner::Ours, gated(&gate)).await;
    tunnel.send(1, start("a")).await;
    status(&core, |status| status.in_flight == 1).await;
    let (purged, ()) = in_time(async {
        tokio::join!(core.purge(EDGE), async {
            until_draining(&mut tunnel).await;
            tunnel.cut();
        })
    })
    .await;
    assert!(matches!(purged, Err(PurgeError::TunnelLost(EDGE))));
}

#[tokio::test]
async fn a_shutdown_answers_what_is_in_flight_and_starts_nothing_new() {
    let gate = Arc::new(Semaphore::new(0));
    let (core, mut edge, mut tunnel) = connected(Manner::Ours, gated(&gate)).await;
    tunnel.send(1, start("a")).await;
    status(&core, |status| status.in_flight == 1).await;
    in_time(async {
        tokio::join!(core.shutdown(), async {
            until_draining(&mut tunnel).await;
            gate.add_permits(1);
            assert_eq!(tunnel.reply(1).await, Some(started("a")));
            assert_eq!(tunnel.next().await, None);
        })
    })
    .await;
    core.set_edges(vec![edge.edge(EDGE)]);
    assert!(core.statuses().is_empty());
    assert_eq!(in_time(edge.dials(1)).await.len(), 1);
}

#[tokio::test]
async fn a_wait_for_a_person_holds_up_no_shutdown() {
    let (core, _edge, tunnel) = connected(Manner::Ours, |_| std::future::pending()).await;
    let wait = core_request::Payload::AwaitRemoteMfaFinish(AwaitRemoteMfaFinishRequest { token: "t".to_owned() });
    tunnel.send(1, wait).await;
    let begun = std::time::Instant::now();
    core.shutdown().await;
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_shutdown_ends_although_a_request_never_does() {
    let (core, _edge, tunnel) = connected(Manner::Ours, |_| std::future::pending()).await;
    tunnel.send(1, start("a")).await;
    status(&core, |status| status.in_flight == 1).await;
    let begun = std::time::Instant::now();
    core.shutdown().await;
    assert!(begun.elapsed() < Duration::from_millis(6500), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_request_whose_tunnel_is_lost_is_finished() {
    let (begun, finished) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let gate = Arc::new(Semaphore::new(0));
    let (entered, done, opened) = (Arc::clone(&begun), Arc::clone(&finished), Arc::clone(&gate));
    let (_core, mut edge, tunnel) = connected(Manner::Ours, move |request: Request| {
        let (entered, done, opened) = (Arc::clone(&entered), Arc::clone(&done), Arc::clone(&opened));
        async move {
            entered.add_permits(1);
            drop(opened.acquire().await);
            done.add_permits(1);
            echo(request).await
        }
    })
    .await;
    tunnel.send(1, start("a")).await;
    drop(in_time(begun.acquire()).await);

    tunnel.cut();
    in_time(edge.tunnel()).await;
    gate.add_permits(1);

    drop(in_time(finished.acquire()).await);
}

#[tokio::test]
async fn a_wait_for_a_person_ends_with_its_tunnel() {
    let (waiting, given_up) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (entered, dropped) = (Arc::clone(&waiting), Arc::clone(&given_up));
    let (_core, _edge, tunnel) = connected(Manner::Ours, move |_| {
        let on_drop = OnDrop(Arc::clone(&dropped));
        entered.add_permits(1);
        async move {
            let _on_drop = on_drop;
            std::future::pending().await
        }
    })
    .await;
    let wait = core_request::Payload::AwaitRemoteMfaFinish(AwaitRemoteMfaFinishRequest { token: "t".to_owned() });
    tunnel.send(1, wait).await;
    drop(in_time(waiting.acquire()).await);
    tunnel.cut();
    drop(in_time(given_up.acquire()).await);
}

#[tokio::test]
async fn dropping_the_last_handle_drains() {
    let (core, _edge, mut tunnel) = connected(Manner::Ours, echo).await;
    drop(core);
    until_draining(&mut tunnel).await;
    assert_eq!(in_time(tunnel.next()).await, None);
}

#[tokio::test]
async fn a_link_is_restarted_only_when_its_edge_has_changed() {
    let mut first = FakeEdge::start(Manner::Ours).await;
    let mut second = FakeEdge::start(Manner::Ours).await;
    let core = core(echo);
    core.set_edges(vec![first.edge(EDGE)]);
    let mut tunnel = in_time(first.tunnel()).await;
    core.set_edges(vec![first.edge(EDGE), second.edge(EdgeId(8))]);
    in_time(second.tunnel()).await;
    tunnel.send(1, start("a")).await;
    assert_eq!(in_time(tunnel.reply(1)).await, Some(started("a")));

    core.set_edges(vec![second.edge(EDGE)]);

    until_draining(&mut tunnel).await;
    in_time(second.tunnel()).await;
    let status = status(&core, is_connected).await;
    assert_eq!((status.edge, core.statuses().len()), (EDGE, 1));
    assert_eq!(in_time(first.dials(1)).await.len(), 1);
}
