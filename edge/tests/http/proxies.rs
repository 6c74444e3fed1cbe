//! What is believed of a proxy, and of nobody else.

use postern_edge::testing::FakeTunnel;
use postern_proto::proxy::CoreRequest;

use crate::{
    answers::right,
    harness::{Reply, Setting, Site},
};

const SPOOFS: &str = "x-forwarded-for: 203.0.113.9\r\nx-real-ip: 203.0.113.9\r\nforwarded: for=203.0.113.9\r\n\
                      x_forwarded_for: 203.0.113.9\r\nx-operation-id: op-1\r\nx-request-id: req-1\r\n\
                      x-request-start: 1.000\r\n";

#[tokio::test]
async fn a_trusted_proxy_is_believed() {
    let (site, tunnel) = Site::connected(Setting::behind_proxy(), right).await;
    let lines = "x-forwarded-for: 6.6.6.6, 203.0.113.9\r\nx-operation-id: op-1\r\nx-request-id: req-1\r\n";
    let (reply, request) = poll(&site, &tunnel, lines).await;
    assert_eq!(reply.header("x-request-id"), Some("req-1"));
    assert_eq!(request.device_info.unwrap().ip_address, "203.0.113.9");
    assert_eq!(request.context.unwrap().operation_id, "op-1");
}

#[tokio::test]
async fn anybody_else_is_not() {
    let (site, tunnel) = Site::connected(Setting::default(), right).await;
    let (reply, request) = poll(&site, &tunnel, SPOOFS).await;
    assert_eq!(reply.status, 200);
    assert_ne!(reply.header("x-request-id"), Some("req-1"));
    assert_eq!(request.device_info.unwrap().ip_address, "127.0.0.1");
    let context = request.context.unwrap();
    assert_eq!(context.operation_id.len(), 32);
    assert!(context.deadline_ms > 3_500, "{}", context.deadline_ms);
}

#[tokio::test]
async fn an_operation_id_that_is_none_is_replaced() {
    let (site, tunnel) = Site::connected(Setting::behind_proxy(), right).await;
    for id in ["", "a b", "a;b", &"x".repeat(65)] {
        let (_, request) = poll(&site, &tunnel, &format!("x-operation-id: {id}\r\n")).await;
        assert_eq!(request.context.unwrap().operation_id.len(), 32, "{id}");
    }
}

#[tokio::test]
async fn each_request_without_an_operation_id_gets_its_own() {
    let (site, tunnel) = Site::connected(Setting::default(), right).await;
    let (_, first) = poll(&site, &tunnel, "").await;
    let (_, second) = poll(&site, &tunnel, "").await;
    assert_ne!(first.context.unwrap().operation_id, second.context.unwrap().operation_id);
}

async fn poll(site: &Site, tunnel: &FakeTunnel, lines: &str) -> (Reply, CoreRequest) {
    let seen = tunnel.request_count();
    let lines = format!("content-type: application/json\r\n{lines}");
    let reply = site.post_with("/api/v1/poll", &lines, r#"{"token":"t"}"#).await;
    let request = tunnel.requests(seen + 1).await.pop().unwrap();
    (reply, request)
}
