//! Which paths answer what, with and without a Core.

use serde_json::json;

use crate::{
    answers::{device_config_json, right},
    harness::{Setting, Site},
};

#[tokio::test]
async fn a_device_polls_its_configuration() {
    let (site, _tunnel) = Site::connected(Setting::default(), right).await;
    let reply = site.post("/api/v1/poll", r#"{"token":"polling"}"#).await;
    assert_eq!((reply.status, reply.json()), (200, json!({"device_config": device_config_json(None)})));
}

#[tokio::test]
async fn with_a_tunnel_up_everything_is_healthy() {
    let (site, _tunnel) = Site::connected(Setting::default(), right).await;
    for (path, body) in [
        ("/livez", r#"{"status":"alive"}"#),
        ("/readyz", r#"{"status":"ready"}"#),
        ("/api/v1/health", "alive"),
        ("/api/v1/health-grpc", "alive"),
    ] {
        let reply = site.get(path).await;
        assert_eq!((reply.status, reply.body.as_str()), (200, body), "{path}");
    }
    let info = site.get("/api/v1/info").await.json();
    assert_eq!(info["server_state"], "connected");
    assert!(info["version"].as_str().unwrap().starts_with("2."));
}

#[tokio::test]
async fn without_a_tunnel_it_lives_and_is_not_ready() {
    let site = Site::start(Setting::default()).await;
    assert_eq!(site.get("/livez").await.status, 200);
    site.get("/readyz").await.expect_error(503, "no_tunnel", "Not ready");
    assert_eq!(site.get("/api/v1/health").await.body, "alive");
    let health = site.get("/api/v1/health-grpc").await;
    assert_eq!((health.status, health.body.as_str()), (503, "Not connected to Defguard Core"));
    assert_eq!(site.get("/api/v1/info").await.json()["server_state"], "disconnected");
}

#[tokio::test]
async fn an_unknown_path_is_404_and_a_wrong_method_405() {
    let site = Site::start(Setting::default()).await;
    for path in ["/nothing", "/api/v1/nothing", "/api/v1/poll/", "/metrics", "/api/v1/../livez"] {
        site.get(path).await.expect_error(404, "unknown_path", "Not found");
    }
    let reply = site.get("/api/v1/poll").await;
    reply.expect_error(405, "wrong_method", "Method not allowed");
    assert_eq!(reply.header("allow"), Some("POST"));
    let trace = site.exchange("TRACE /livez HTTP/1.1\r\nhost: edge\r\nconnection: close\r\n\r\n").await;
    assert_eq!(trace.status, 405);
}
