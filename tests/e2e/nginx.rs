//! The proofs behind the lines of `nginx/`: what people see when an Edge is at 503, gone, unreachable or frozen.

use std::{
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use postern_tests::{
    Cluster, Load, Summary,
    enrollment::{Enrollment, public_key},
    eventually,
};
use socket2::{Domain, Socket, Type};

use crate::cluster_with_a_device;

const RATE: u32 = 100;
const PHASE: Duration = Duration::from_secs(3);
/// A stock client leaves after this long.
const PATIENCE: Duration = Duration::from_secs(5);

/// Polls for a while, and prints the line of the table.
async fn polls(what: &str, cluster: &Cluster, token: &str) -> Summary {
    let load = Load::polls(cluster.public(), token, RATE);
    tokio::time::sleep(PHASE).await;
    let summary = load.finish().await.expect("the load ends");
    eprintln!("{what:<26} {summary}");
    assert!(summary.worst() < PATIENCE, "{what}: {summary}");
    assert_eq!(summary.not_json(), 0, "{what}: {summary}");
    summary
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_edge_at_503_fails_no_call() {
    let (cluster, token) = cluster_with_a_device().await;
    cluster.cli(&["edge", "disable", "edge-2"]).await.expect("edge disable");
    cluster.ready(1, false, PATIENCE).await.expect("edge-2 is at 503");

    let summary = polls("one Edge at 503", &cluster, &token).await;
    assert_eq!(summary.failed(), 0, "{summary}");
    assert!(cluster.nginx.logs().contains(r#"status="503, 200""#), "nothing was passed on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_both_edges_at_503_their_own_answer_passes_and_recovery_is_instant() {
    let (cluster, token) = cluster_with_a_device().await;
    for name in ["edge-1", "edge-2"] {
        cluster.cli(&["edge", "disable", name]).await.expect("edge disable");
    }
    for edge in 0..2 {
        cluster.ready(edge, false, PATIENCE).await.expect("the Edge is at 503");
    }
    let summary = polls("both Edges at 503", &cluster, &token).await;
    assert_eq!(summary.statuses().keys().copied().collect::<Vec<_>>(), [503], "{summary}");
    assert!(summary.samples.iter().all(|sample| !sample.edge.is_empty()), "NGINX answered itself: {summary}");

    cluster.cli(&["edge", "enable", "edge-1"]).await.expect("edge enable");
    cluster.ready(0, true, PATIENCE).await.expect("edge-1 is well");
    let summary = polls("one of them well again", &cluster, &token).await;
    assert_eq!(summary.failed(), 0, "{summary}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_edge_that_refuses_connections_fails_no_call() {
    let (mut cluster, token) = cluster_with_a_device().await;
    cluster.edges[1].process.kill().expect("kill edge-2");

    let summary = polls("one Edge gone (refused)", &cluster, &token).await;
    assert_eq!(summary.failed(), 0, "{summary}");
    assert!(summary.worst() < Duration::from_secs(1), "{summary}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_edge_behind_a_black_hole_costs_a_quarter_of_a_second_at_most() {
    let (mut cluster, token) = cluster_with_a_device().await;
    cluster.edges[1].process.kill().expect("kill edge-2");
    let _hole = BlackHole::open(cluster.edges[1].http);

    let summary = polls("one Edge blackholed", &cluster, &token).await;
    assert_eq!(summary.failed(), 0, "{summary}");
    assert!(summary.worst() >= Duration::from_millis(250), "nobody met the black hole: {summary}");
    assert!(summary.worst() < Duration::from_secs(1), "{summary}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_frozen_edge_fails_no_call() {
    let (cluster, token) = cluster_with_a_device().await;
    cluster.edges[1].process.signal("STOP").expect("SIGSTOP");

    let summary = polls("one Edge hung (SIGSTOP)", &cluster, &token).await;
    cluster.edges[1].process.signal("CONT").expect("SIGCONT");
    assert_eq!(summary.failed(), 0, "{summary}");
    let met = summary.samples.iter().filter(|sample| sample.took >= Duration::from_secs(2)).count();
    assert!(met > 0, "nobody met the frozen Edge: {summary}");
    assert!(met * 20 < summary.sent(), "{met} met the frozen Edge: the balance does not see what it holds: {summary}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_every_edge_gone_nginx_answers_json_itself() {
    let (mut cluster, token) = cluster_with_a_device().await;
    for edge in &mut cluster.edges {
        edge.process.kill().expect("kill the Edge");
    }
    let summary = polls("every Edge gone", &cluster, &token).await;
    assert_eq!(summary.statuses().keys().copied().collect::<Vec<_>>(), [502], "{summary}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_core_is_answered_before_the_client_leaves() {
    let (cluster, token) = cluster_with_a_device().await;
    cluster.core.signal("STOP").expect("SIGSTOP");

    let summary = polls("Core hung (SIGSTOP)", &cluster, &token).await;
    cluster.core.signal("CONT").expect("SIGCONT");
    assert!(summary.statuses().keys().all(|status| [429, 502, 503, 504].contains(status)), "{summary}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operation_that_nginx_repeats_takes_effect_once() {
    let cluster = Cluster::start().await.expect("the cluster starts");
    let token = cluster.invite("joe").await.expect("a person is invited");
    let enrollment = Enrollment::start(&cluster.public(), &token).await.expect("start");
    let key = public_key().expect("a key");

    // One Edge hands it to Core and gets no answer; NGINX gives up on that Edge, and the other one hands it to Core again.
    cluster.core.signal("STOP").expect("SIGSTOP");
    let (created, ()) = tokio::join!(enrollment.create_device("laptop", &key), async {
        for edge in tokio::time::timeout(PATIENCE, both_in_turn(&cluster)).await.expect("both Edges ask Core") {
            eprintln!("{edge} waits for Core");
        }
        cluster.core.signal("CONT").expect("SIGCONT");
    });
    let created = created.expect("create_device");
    assert_eq!(created.status, 200, "{created:?}");
    let devices = cluster.cli(&["device", "list"]).await.expect("device list");
    assert_eq!(devices.as_array().map(Vec::len), Some(1), "{devices}");
    let activity = cluster.cli(&["activity"]).await.expect("activity");
    let done = activity.as_array().expect("a list").iter().filter(|row| row["event"] == "new_device").count();
    assert_eq!(done, 1, "{activity}");
}

/// Waits until one Edge and then the other has a request in flight; gives their names in that order.
async fn both_in_turn(cluster: &Cluster) -> Vec<&str> {
    let mut waited = Vec::new();
    while waited.len() < cluster.edges.len() {
        for edge in cluster.edges.iter().filter(|edge| !waited.contains(&&*edge.name)).collect::<Vec<_>>() {
            let metrics = edge.metrics().expect("an address").get("/metrics").await.expect("metrics").body;
            if String::from_utf8_lossy(&metrics).contains("\npostern_edge_requests_in_flight 1\n") {
                waited.push(&*edge.name);
            }
        }
    }
    waited
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_stock_core_what_may_have_been_done_is_not_sent_again() {
    let (mut cluster, token) = cluster_with_a_device().await;
    let servers: String =
        cluster.edges.iter().map(|edge| format!("server {} max_fails=1 fail_timeout=2s;\n", edge.http)).collect();
    cluster.nginx.restart_with("servers.conf", &servers).await.expect("NGINX restarts");
    cluster.nginx.restart_with("retry.conf", "include postern/retry-stock-core.conf;\n").await.expect("NGINX restarts");
    cluster.answers().await.expect("NGINX answers");

    cluster.cli(&["edge", "disable", "edge-2"]).await.expect("edge disable");
    cluster.ready(1, false, PATIENCE).await.expect("edge-2 is at 503");
    let summary = polls("stock Core, one at 503", &cluster, &token).await;
    assert_eq!(summary.failed(), 0, "{summary}");

    cluster.edges[1].process.signal("STOP").expect("SIGSTOP");
    let summary = polls("stock Core, one hung", &cluster, &token).await;
    cluster.edges[1].process.signal("CONT").expect("SIGCONT");
    let statuses = summary.statuses();
    assert!(statuses.keys().all(|status| [200, 504].contains(status)), "{summary}");
    assert!(summary.failed() > 0, "nobody met the frozen Edge: {summary}");
    assert!(!cluster.nginx.logs().contains(r#"status="504, "#), "a call without an answer was sent again");
}

#[tokio::test]
async fn the_name_of_a_request_leads_from_the_error_to_the_log_line_and_is_not_the_operation() {
    let (mut cluster, _) = cluster_with_a_device().await;
    let from_an_edge = cluster.public().get("/api/v1/nothing").await.expect("an answer");
    for edge in &mut cluster.edges {
        edge.process.kill().expect("kill the Edge");
    }
    let from_nginx = cluster.public().get("/api/v1/info").await.expect("an answer");

    for (reply, path) in [(from_an_edge, "/api/v1/nothing"), (from_nginx, "/api/v1/info")] {
        let name = reply.json().expect("JSON")["request_id"].as_str().expect("a name").to_owned();
        assert_eq!(reply.header("x-request-id"), name);
        // NGINX writes its line after the answer.
        let written = || async { cluster.nginx.logs().contains(&format!("id={name} ")) };
        eventually("a line in the access log", Duration::from_secs(5), written).await.expect("the line");
        let log = cluster.nginx.logs();
        let line = log.lines().find(|line| line.contains(&format!("id={name} "))).expect("the line");
        assert!(line.contains(&format!("\"GET {path}\" {}", reply.status)), "{line}");
    }
}

/// A listener that nobody accepts from, with a full queue: the kernel drops what comes, as a vanished host would.
struct BlackHole {
    _listener: Socket,
    _queued: Vec<TcpStream>,
}

impl BlackHole {
    fn open(address: SocketAddr) -> Self {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        listener.set_reuse_address(true).expect("reuse");
        listener.bind(&address.into()).expect("the port of the Edge is free");
        listener.listen(0).expect("listen");
        let mut queued = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
            queued.push(stream);
            assert!(queued.len() < 16, "the queue never fills");
        }
        Self { _listener: listener, _queued: queued }
    }
}
