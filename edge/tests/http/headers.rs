//! The headers of every response, whatever its status.

use postern_edge::{config::PublicUrl, testing::eventually};

use crate::{
    answers::right,
    harness::{Reply, Setting, Site},
};

#[tokio::test]
async fn every_response_carries_them() {
    let (site, _tunnel) = Site::connected(Setting::default(), right).await;
    let large = format!(r#"{{"token":"{}"}}"#, "x".repeat(20_000));
    let replies = [
        (200, site.post("/api/v1/poll", r#"{"token":"t"}"#).await),
        (200, site.get("/livez").await),
        (400, site.post("/api/v1/poll", "{").await),
        (401, site.post("/api/v1/enrollment/activate_user", r#"{"password":"p"}"#).await),
        (404, site.get("/api/v1/nothing").await),
        (405, site.get("/api/v1/poll").await),
        (413, site.post("/api/v1/poll", &large).await),
        (415, site.post_with("/api/v1/poll", "content-type: text/plain\r\n", "{}").await),
        (422, site.post("/api/v1/poll", "{}").await),
        (501, site.post("/edge/api/v1/enrollment/network_info", "{}").await),
    ];
    for (status, reply) in replies {
        assert_eq!(reply.status, status);
        expect_headers(&reply);
        assert_eq!(reply.header("defguard-core-connected"), Some("true"));
        assert!(reply.header("defguard-core-version").unwrap().starts_with("2.0.1"));
    }
}

#[tokio::test]
async fn a_head_that_cannot_be_read_gets_them_too_with_nothing_of_it_and_the_connection_ends() {
    let (site, _tunnel) = Site::connected(Setting::default(), right).await;
    let many: String = (0..100).map(|at| format!("x-{at}: canary\r\n")).collect();
    let malformed = (400, "malformed_head", "The request cannot be read");
    let too_large = (431, "head_too_large", "The head of the request is too large");
    // As much as is read of a head, and not one byte more.
    let endless = |begin: &str| format!("{begin}{}", "c".repeat(32 * 1024 - begin.len()));
    for (request, (status, code, text)) in [
        ("canary\r\n\r\n".to_owned(), malformed),
        ("GET /canary HTTP/9.9\r\n\r\n".to_owned(), malformed),
        ("GET /livez HTTP/1.1\r\nhost: edge\r\ncan ary: 1\r\n\r\n".to_owned(), malformed),
        ("POST /livez HTTP/1.1\r\nhost: edge\r\ncontent-length: canary\r\n\r\n".to_owned(), malformed),
        (format!("GET /livez HTTP/1.1\r\nhost: edge\r\n{many}\r\n"), too_large),
        (endless("GET /livez HTTP/1.1\r\nhost: edge\r\nx: canary"), too_large),
        (endless("GET /canary"), too_large),
    ] {
        let reply = site.exchange(&request).await;
        reply.expect_error(status, code, text);
        expect_headers(&reply);
        let length = reply.body.len().to_string();
        let expected = [("connection", "close"), ("cache-control", "no-store"), ("content-length", &*length)];
        for (name, value) in expected {
            assert_eq!(reply.all(name).collect::<Vec<_>>(), [value], "{name} of {reply:?}");
        }
        assert!(reply.header("date").is_some() && !format!("{reply:?}").contains("canary"), "{reply:?}");
    }
}

#[tokio::test]
async fn a_head_that_cannot_be_read_after_one_that_can_gets_them_too() {
    let site = Site::start(Setting::default()).await;
    let first = "GET /livez HTTP/1.1\r\nhost: edge\r\n\r\n";
    let both = site.exchange(&format!("{first}canary\r\n\r\n")).await;
    assert_eq!(both.status, 200);
    let second = both.body.strip_prefix(r#"{"status":"alive"}"#).unwrap();
    let second = Reply::parse(second);
    second.expect_error(400, "malformed_head", "The request cannot be read");
    expect_headers(&second);
}

#[tokio::test]
async fn without_a_core_they_say_so() {
    let site = Site::start(Setting::default()).await;
    let reply = site.post("/api/v1/poll", r#"{"token":"t"}"#).await;
    expect_headers(&reply);
    assert_eq!((reply.status, reply.header("defguard-core-connected")), (503, Some("false")));
    assert_eq!(reply.header("defguard-core-version"), None);
}

#[tokio::test]
async fn cores_version_is_remembered_when_core_is_gone() {
    let (site, tunnel) = Site::connected(Setting::default(), right).await;
    tunnel.hang_up().await;
    eventually("the tunnel is gone", || !site.edge.registry.is_connected()).await;
    let reply = site.get("/api/v1/info").await;
    assert_eq!(reply.header("defguard-core-connected"), Some("false"));
    assert!(reply.header("defguard-core-version").is_some());
}

#[tokio::test]
async fn replies_of_the_api_are_not_stored_and_others_may_be() {
    let site = Site::start(Setting::default()).await;
    assert_eq!(site.get("/api/v1/health").await.header("cache-control"), Some("no-store"));
    assert_eq!(site.get("/livez").await.header("cache-control"), None);
}

#[tokio::test]
async fn strict_transport_security_is_for_https_only() {
    let site = Site::start(Setting { public_url: PublicUrl::Http, ..Setting::default() }).await;
    assert_eq!(site.get("/livez").await.header("strict-transport-security"), None);
}

#[track_caller]
fn expect_headers(reply: &Reply) {
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("permissions-policy", "geolocation=(), camera=(), microphone=()"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("x-frame-options", "DENY"),
        ("strict-transport-security", "max-age=31536000"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"),
    ] {
        assert_eq!(reply.all(name).collect::<Vec<_>>(), [value], "{name} of {reply:?}");
    }
    assert!(reply.header("defguard-component-version").unwrap().starts_with("2.0.1+postern."));
    assert_eq!(reply.header("x-request-id").unwrap().len(), 24);
    for absent in ["server", "x-powered-by", "x-postern-edge"] {
        assert_eq!(reply.header(absent), None);
    }
}
