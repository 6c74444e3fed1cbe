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
