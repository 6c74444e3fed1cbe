//! Who is sent from plain HTTP to the public address, and who is not.

use crate::{
    certificates::WebAuthority,
    client::{self, head},
    program::Program,
};

const CLOSE: &str = "connection: close\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn people_are_sent_to_the_public_address_and_never_to_what_they_name() {
    let (edge, _tunnel, _core) = Program::serving(&WebAuthority::new().issue(), &[]).await;
    for (target, location) in [
        ("/", "https://vpn.example.org/"),
        ("/?token=abc%2Bd", "https://vpn.example.org/?token=abc%2Bd"),
        ("//evil.example/x", "https://vpn.example.org//evil.example/x"),
        ("http://evil.example/x?y", "https://vpn.example.org/x?y"),
        ("/api/v1/info", "https://vpn.example.org/api/v1/info"),
        ("/livezz/../", "https://vpn.example.org/livezz/../"),
        ("/.well-known/other", "https://vpn.example.org/.well-known/other"),
    ] {
        for method in ["GET", "HEAD"] {
            let lines = format!("x-forwarded-host: evil.example\r\nx-forwarded-proto: https\r\n{CLOSE}");
            let reply = client::send(edge.http, &head(method, target, "evil.example", &lines)).await;
            assert_eq!((reply.status, reply.header("location")), (308, Some(location)), "{method} {target}");
            assert!(reply.header("x-request-id").is_some() && reply.header("x-frame-options").is_some());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_checks_logins_and_the_certificate_authority_are_not() {
    let (edge, _tunnel, _core) = Program::serving(&WebAuthority::new().issue(), &[]).await;
    for path in ["/livez", "/readyz", "/api/v1/health", "/api/v1/health-grpc", "/.well-known/acme-challenge/x"] {
        assert_ne!(client::get(edge.http, path).await.status, 308, "{path}");
    }
    for token in ["x", "%ff", "%00", "..", "%2e%2e%2fx", ""] {
        let unknown = client::get(edge.http, &format!("/.well-known/acme-challenge/{token}")).await;
        assert_eq!(unknown.status, 404, "{token}");
        assert!(unknown.text.contains(r#""code":"unknown_path""#), "{token}: {unknown:?}");
    }
    let post =
        head("POST", "/api/v1/poll", "edge", &format!("{CLOSE}content-type: text/plain\r\ncontent-length: 0\r\n"));
    assert_eq!(client::send(edge.http, &post).await.status, 415);
    let lines = "connection: Upgrade\r\nupgrade: websocket\r\n";
    let websocket = client::send(edge.http, &head("GET", "/api/v1/client-mfa/remote", "edge", lines)).await;
    assert_ne!(websocket.status, 308);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_proxy_is_not() {
    let arguments = ["--trusted-proxies", "127.0.0.0/8"];
    let (edge, _tunnel, _core) = Program::serving(&WebAuthority::new().issue(), &arguments).await;
    assert_ne!(client::get(edge.http, "/").await.status, 308);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_is_not_trusted_is_and_the_log_says_once_what_to_do() {
    let (edge, _tunnel, _core) = Program::serving(&WebAuthority::new().issue(), &[]).await;
    for _ in 0..3 {
        let lines = format!("x-forwarded-for: 203.0.113.9\r\nx-forwarded-proto: https\r\n{CLOSE}");
        assert_eq!(client::send(edge.http, &head("GET", "/", "edge", &lines)).await.status, 308);
    }
    edge.wait_for_log("name it in `trusted_proxies`").await;
    assert_eq!(edge.log_lines("proxy=127.0.0.1"), 1, "{}", edge.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_where_people_come_by_plain_http() {
    let authority = WebAuthority::new();
    let arguments = ["--public-url", "http://vpn.example.org/"];
    let (edge, _tunnel, _core) = Program::serving(&authority.issue(), &arguments).await;
    let reply = client::get(edge.http, "/").await;
    assert_ne!(reply.status, 308);
    assert_eq!(reply.header("strict-transport-security"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_where_the_edge_was_not_told_its_address() {
    let (edge, _tunnel, _core) =
        Program::serving(&WebAuthority::new().issue(), &["--public-url", "https://localhost/"]).await;
    assert_eq!(client::get(edge.http, "/").await.status, 200, "their own machine is not it");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_who_came_by_tls() {
    let authority = WebAuthority::new();
    let (edge, _tunnel, _core) = Program::serving(&authority.issue(), &[]).await;
    let stream = client::connect(edge.https, authority.roots()).await.unwrap();
    let reply = client::read_all(stream, &head("GET", "/api/v1/info", "vpn.example.org", CLOSE)).await;
    assert_eq!(reply.status, 200);
}
