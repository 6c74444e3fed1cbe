//! What proxies say is worth nothing from anybody else: whatever such headers hold, request and answer stay the same.

use postern_proto::proxy::CoreRequest;

use crate::{
    answers::right,
    harness::{Reply, Setting, Site},
};

const NAMES: [&str; 27] = [
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-scheme",
    "x-forwarded-port",
    "x-forwarded-server",
    "x-forwarded-prefix",
    "x-forwarded-uri",
    "x_forwarded_for",
    "x_forwarded_host",
    "x_forwarded_proto",
    "x-real-ip",
    "x_real_ip",
    "true-client-ip",
    "client-ip",
    "cf-connecting-ip",
    "fastly-client-ip",
    "x-cluster-client-ip",
    "forwarded",
    "x-original-url",
    "x-rewrite-url",
    "x-original-host",
    "x-http-method-override",
    "x-method-override",
    "x-operation-id",
    "x-request-id",
    "x-request-start",
];
const VALUES: [&str; 13] = [
    "127.0.0.2",
    "203.0.113.9, 10.0.0.1",
    "::1",
    "for=203.0.113.9;proto=http;host=evil.example",
    "http",
    "https",
    "evil.example",
    "443",
    "/api/v1/health",
    "DELETE",
    "canary",
    "1.000",
    "",
];
const ROUNDS: usize = 150;

#[tokio::test]
async fn no_header_of_an_untrusted_peer_changes_who_it_is_or_what_it_gets() {
    let (site, tunnel) = Site::connected(Setting::default(), right).await;
    let started = async |lines: &str| {
        let seen = tunnel.request_count();
        let lines = format!("content-type: application/json\r\n{lines}");
        let reply = site.post_with("/api/v1/enrollment/start", &lines, r#"{"token":"t"}"#).await;
        (reply, tunnel.requests(seen + 1).await.pop().unwrap())
    };
    let (plain, plainly_asked) = started("").await;
    for _ in 0..ROUNDS {
        let lines: String = (0..rand::random_range(1..8)).map(|_| random_line()).collect();
        let (reply, asked) = started(&lines).await;
        assert_eq!(comparable(&reply), comparable(&plain), "{lines}");
        assert_eq!(without_ids(asked), without_ids(plainly_asked.clone()), "{lines}");
    }
}

#[tokio::test]
async fn nor_does_it_change_which_page_is_served() {
    let site = Site::start(Setting::default()).await;
    let plain = site.get("/open-desktop").await;
    for _ in 0..ROUNDS {
        let lines: String = (0..rand::random_range(1..8)).map(|_| random_line()).collect();
        let head = format!("GET /open-desktop HTTP/1.1\r\nhost: edge\r\nconnection: close\r\n{lines}\r\n");
        assert_eq!(comparable(&site.exchange(&head).await), comparable(&plain), "{lines}");
    }
}

fn random_line() -> String {
    let (name, value) = (NAMES[rand::random_range(0..NAMES.len())], VALUES[rand::random_range(0..VALUES.len())]);
    format!("{name}: {value}\r\n")
}

/// Everything but the name of the request, the time, and the sealed part of a cookie, which are new each time.
fn comparable(reply: &Reply) -> (u16, Vec<(String, String)>, String) {
    assert_ne!(reply.header("x-request-id"), Some("canary"));
    let headers = reply.headers.iter().filter(|(name, _)| name != "x-request-id" && name != "date");
    let headers = headers.map(|(name, value)| match value.split_once(';') {
        Some((_sealed, attributes)) if name == "set-cookie" => (name.clone(), attributes.to_owned()),
        _ => (name.clone(), value.clone()),
    });
    (reply.status, headers.collect(), reply.body.clone())
}

/// What Core is told, but for the ids and the time left; those are the Edge's own.
fn without_ids(mut request: CoreRequest) -> String {
    let context = request.context.take().unwrap();
    assert_eq!(context.operation_id.len(), 32, "an id of the Edge's own");
    assert!(context.deadline_ms > 3_000, "{}", context.deadline_ms);
    request.id = 0;
    let info = request.device_info.take().unwrap();
    assert_eq!(info.ip_address, "127.0.0.1");
    format!("{:?} {:?} {:?} {:?}", request.payload, info.user_agent, info.version, info.platform)
}
