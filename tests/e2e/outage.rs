//! Core or an Edge is lost under load: what people see, and for how long.

use std::time::Duration;

use postern_tests::{Bare, Client, Load, cluster::START_LIMIT, eventually, nginx::Nginx};
use serde_json::json;

use crate::cluster_with_a_device;

const RATE: u32 = 200;
/// How long the load runs before, during and after a fault.
const PHASE: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_core_is_away_every_answer_is_json_and_at_once() {
    let (mut cluster, token) = cluster_with_a_device().await;
    let load = Load::polls(cluster.public(), &token, RATE);
    tokio::time::sleep(PHASE).await;

    let bare = [Bare::start().await.expect("a bare server"), Bare::start().await.expect("another")];
    let (folder, address) = (cluster.folder().join("bare"), cluster.address().expect("an address"));
    let nginx = Nginx::start(&folder, address, &bare.each_ref().map(|bare| bare.address)).expect("a second NGINX");
    let control = Client::new(nginx.public);
    eventually("the second NGINX answers", START_LIMIT, || async { control.get("/livez").await.is_ok() })
        .await
        .expect("a second NGINX");
    let control = Load::polls(control, &token, RATE);
    cluster.core.kill().expect("kill core");
    for edge in &cluster.edges {
        edge.ready(false, Duration::from_secs(1)).await.expect("the Edge notices");
        let alive = edge.client().get("/livez").await.expect("livez");
        assert_eq!(alive.status, 200);
    }
    tokio::time::sleep(PHASE).await;
    let summary = load.finish().await.expect("the load ends");
    let control = control.finish().await.expect("the control ends");
    let machine = control.p99_of(503).expect("the bare servers answered");
    eprintln!("core killed: {summary}, p99 of 503: {:?}, of bare servers: {machine:?}", summary.p99_of(503));

    assert_eq!(summary.not_json(), 0, "{summary}");
    let statuses = summary.statuses();
    assert!(statuses[&503] as u32 > RATE, "{summary}");
    let p99 = summary.p99_of(503).expect("there were 503s");
    // What the machine itself keeps a caller waiting at this moment is not the Edges' doing.
    let limit = Duration::from_millis(20) + machine;
    assert!(p99 < limit, "p99 of 503: {p99:?}, of bare servers: {machine:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_core_is_back_both_edges_are_ready_within_a_second() {
    let (mut cluster, token) = cluster_with_a_device().await;
    let poll = json!({ "token": token });
    cluster.core.kill().expect("kill core");
    for edge in &cluster.edges {
        edge.ready(false, Duration::from_secs(1)).await.expect("the Edge notices");
    }
    let refused = cluster.public().post("/api/v1/poll", &poll).await.expect("an answer");
    assert_eq!(refused.status, 503, "{refused:?}");
    assert_ne!(refused.header("retry-after"), "");
    assert!(refused.header("x-postern-edge").starts_with("edge-"), "not an Edge's answer: {refused:?}");

    cluster.core.start_again().expect("start core");
    let socket = cluster.folder().join("core/core.sock");
    let up = eventually("core is back", START_LIMIT, || {
        let socket = socket.clone();
        async move { tokio::net::UnixStream::connect(socket).await.is_ok() }
    })
    .await
    .expect("core is back");
    let second = Duration::from_secs(1);
    let (one, other) = tokio::join!(cluster.ready(0, true, second), cluster.ready(1, true, second));
    let (one, other) = (one.expect("edge-1 within a second"), other.expect("edge-2 within a second"));
    eprintln!("core up after {up:?}, the Edges ready {one:?} and {other:?} later");
    let passed = cluster.public().post("/api/v1/poll", &poll).await.expect("an answer");
    assert_eq!(passed.status, 200, "{passed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_one_edge_under_load_fails_no_call() {
    let (mut cluster, token) = cluster_with_a_device().await;
    let load = Load::polls(cluster.public(), &token, RATE);
    tokio::time::sleep(PHASE).await;

    cluster.edges[1].process.kill().expect("kill edge-2");
    tokio::time::sleep(PHASE).await;
    cluster.edges[1].process.start_again().expect("start edge-2");
    let took = cluster.ready(1, true, Duration::from_secs(5)).await.expect("edge-2 is ready again");
    tokio::time::sleep(PHASE).await;

    let summary = load.finish().await.expect("the load ends");
    eprintln!("one Edge killed: {summary}; ready again after {took:?}");
    assert_eq!(summary.failed(), 0, "{summary}");
    assert!(summary.edges()["edge-2"] > 0, "{summary}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_one_edge_gracefully_under_load_fails_no_call() {
    let (mut cluster, token) = cluster_with_a_device().await;
    let load = Load::polls(cluster.public(), &token, RATE);
    tokio::time::sleep(PHASE).await;

    cluster.edges[0].process.signal("TERM").expect("SIGTERM");
    let ended = cluster.edges[0].process.ended(Duration::from_secs(10)).await.expect("edge-1 ends");
    let summary = load.finish().await.expect("the load ends");
    eprintln!("one Edge stopped: {summary}");
    assert!(ended.success(), "{ended}");
    assert_eq!(summary.failed(), 0, "{summary}");
}
