//! A link gets its tunnel back after whatever happened to it.

use std::time::{Duration, Instant};

use postern_core_link::{
    EdgeId, LinkState,
    testing::{FakeEdge, Manner},
};

use crate::{EDGE, connected, core, dial_error, echo, in_time, is_connected, start, started, status};

#[tokio::test]
async fn the_first_dial_is_at_once() {
    let mut edge = FakeEdge::start(Manner::Ours).await;
    let core = core(echo);
    let begun = Instant::now();
    core.set_edges(vec![edge.edge(EDGE)]);
    in_time(edge.tunnel()).await;
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_tunnel_that_was_cut_is_opened_again() {
    let (_core, mut edge, tunnel) = connected(Manner::Ours, echo).await;
    tunnel.cut();
    let mut again = in_time(edge.tunnel()).await;
    again.send(1, start("a")).await;
    assert_eq!(in_time(again.reply(1)).await, Some(started("a")));
}

#[tokio::test]
async fn a_tunnel_that_the_edge_ended_is_opened_again() {
    let (_core, mut edge, tunnel) = connected(Manner::Ours, echo).await;
    tunnel.announce_and_end().await;
    in_time(edge.tunnel()).await;
}

#[tokio::test]
async fn an_edge_that_was_away_is_ready_soon_after_it_listens() {
    let (core, mut edge, tunnel) = connected(Manner::Ours, echo).await;
    for _ in 0..3 {
        edge.crash().await;
        status(&core, |status| !is_connected(status)).await;
        edge.restart().await;
        let begun = Instant::now();
        in_time(edge.tunnel()).await;
        assert!(begun.elapsed() < Duration::from_millis(700), "{:?}", begun.elapsed());
    }
    drop(tunnel);
}

#[tokio::test]
async fn an_edge_that_hangs_up_is_dialled_about_every_300_ms() {
    let mut edge = FakeEdge::start(Manner::HangsUp).await;
    let core = core(echo);
    core.set_edges(vec![edge.edge(EDGE)]);
    let dials = in_time(edge.dials(4)).await;
    for pair in dials.windows(2) {
        let pause = pair[1] - pair[0];
        assert!((Duration::from_millis(250)..Duration::from_secs(1)).contains(&pause), "{pause:?}");
    }
    assert!(dial_error(&core).await.contains("closed the connection"));
}

#[tokio::test]
async fn an_edge_that_ends_each_tunnel_is_not_dialled_in_a_circle() {
    let (_core, mut edge, tunnel) = connected(Manner::Ours, echo).await;
    tunnel.announce_and_end().await;
    in_time(edge.tunnel()).await.announce_and_end().await;
    in_time(edge.tunnel()).await.announce_and_end().await;
    let dials = in_time(edge.dials(3)).await;
    assert!(dials[2] - dials[0] >= Duration::from_millis(500), "{dials:?}");
}

#[tokio::test]
async fn a_hanging_edge_costs_one_dial_and_not_the_link() {
    let mut edge = FakeEdge::start(Manner::Hangs).await;
    let core = core(echo);
    core.set_edges(vec![edge.edge(EDGE)]);
    in_time(edge.dials(1)).await;
    edge.behave(Manner::Ours);
    in_time(edge.tunnel()).await;
}

#[tokio::test]
async fn a_failing_link_leaves_the_others_alone() {
    let mut good = FakeEdge::start(Manner::Ours).await;
    let bad = FakeEdge::start(Manner::Stranger).await;
    let core = core(echo);
    core.set_edges(vec![bad.edge(EdgeId(1)), good.edge(EdgeId(2))]);
    let mut tunnel = in_time(good.tunnel()).await;
    status(&core, |status| {
        status.edge == EdgeId(1) && matches!(&status.state, LinkState::Dialing { last_error: Some(_), .. })
    })
    .await;
    tunnel.send(1, start("a")).await;
    assert_eq!(in_time(tunnel.reply(1)).await, Some(started("a")));
}
