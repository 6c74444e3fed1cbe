//! What an admin does to Edges while people use them.

use std::time::Duration;

use postern_tests::{Load, eventually};

use crate::cluster_with_a_device;

const RATE: u32 = 200;
const PHASE: Duration = Duration::from_secs(2);

#[tokio::test]
async fn edge_list_says_what_an_admin_wants_to_know() {
    let (cluster, _) = cluster_with_a_device().await;
    for edge in &cluster.edges {
        let listed = cluster.listed(&edge.name).await.expect("the Edge is listed");
        assert_eq!(listed["state"], "connected", "{listed}");
        assert_eq!(listed["address"], edge.tunnel.to_string(), "{listed}");
        assert_eq!(listed["enabled"], true, "{listed}");
        assert!(listed["announced_version"].as_str().is_some_and(|version| version.starts_with("2.0.1")), "{listed}");
        assert!(listed["version"].as_str().is_some_and(|version| version.starts_with("0.")), "{listed}");
        assert!(listed["since"].as_str().is_some_and(|since| since.contains('T')), "{listed}");
        assert!(listed["certificate_days_left"].as_u64().is_some_and(|days| days > 0), "{listed}");
        assert!(listed["last_error"].is_null(), "{listed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn removing_an_edge_under_load_fails_no_call_and_frees_it_for_adoption() {
    let (cluster, token) = cluster_with_a_device().await;
    let load = Load::polls(cluster.public(), &token, RATE);
    tokio::time::sleep(PHASE).await;

    cluster.cli(&["edge", "remove", "edge-2"]).await.expect("edge remove");
    let edge = &cluster.edges[1];
    edge.ready(false, Duration::from_secs(2)).await.expect("edge-2 is not ready");
    tokio::time::sleep(PHASE).await;
    let info = edge.client().get("/api/v1/info").await.expect("info").json().expect("JSON");
    assert_eq!(info["server_state"], "setup", "{info}");
    assert!(cluster.listed("edge-2").await.is_err(), "still listed");

    cluster.cli(&["edge", "add", &edge.tunnel.to_string(), "--name", "edge-2"]).await.expect("adopted again");
    edge.ready(true, Duration::from_secs(5)).await.expect("edge-2 serves again");
    tokio::time::sleep(PHASE).await;
    let summary = load.finish().await.expect("the load ends");
    eprintln!("one Edge removed and added: {summary}");
    assert_eq!(summary.failed(), 0, "{summary}");
}

#[tokio::test]
async fn a_disabled_edge_serves_nothing_until_it_is_enabled() {
    let (cluster, _) = cluster_with_a_device().await;
    cluster.cli(&["edge", "disable", "edge-1"]).await.expect("edge disable");
    cluster.ready(0, false, Duration::from_secs(2)).await.expect("edge-1 is not ready");
    let listed = cluster.listed("edge-1").await.expect("still listed");
    assert_eq!((&listed["state"], &listed["enabled"]), (&"disabled".into(), &false.into()), "{listed}");

    cluster.cli(&["edge", "enable", "edge-1"]).await.expect("edge enable");
    cluster.ready(0, true, Duration::from_secs(2)).await.expect("edge-1 serves again");
    eventually("edge-1 is listed as connected", Duration::from_secs(2), || async {
        cluster.listed("edge-1").await.is_ok_and(|listed| listed["state"] == "connected")
    })
    .await
    .expect("connected");
}
