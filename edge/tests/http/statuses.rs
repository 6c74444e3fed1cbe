//! The headers of every kind of answer, through every status that an Edge gives.

use std::sync::atomic::{AtomicI32, Ordering};

use postern_edge::testing::Answer;
use postern_proto::rejection::{Code, Rejection};

use crate::{
    answers::right,
    harness::{Reply, Setting, Site},
};

/// Each once, in every answer.
const ALWAYS: [(&str, &str); 7] = [
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("permissions-policy", "geolocation=(), camera=(), microphone=()"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("x-frame-options", "DENY"),
    ("strict-transport-security", "max-age=31536000"),
];
const POLL: &str = r#"{"token":"t"}"#;

#[tokio::test]
async fn whatever_core_says() {
    let calls = AtomicI32::new(0);
    let (site, _tunnel) = Site::connected(Setting::default(), move |_| match calls.fetch_add(1, Ordering::Relaxed) {
        0 => Answer::Garbage,
        9 => Answer::Reject(Rejection::new(Code::FailedPrecondition, "no valid license")),
        17 => Answer::Reject(Rejection::new(Code::FailedPrecondition, "not yet")),
        code => Answer::Reject(Rejection::new(Code::from_i32(code), "no")),
    })
    .await;
    let mut seen = Vec::new();
    for _ in 0..=17 {
        seen.push(expect(&site.post("/api/v1/poll", POLL).await));
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, [400, 401, 402, 403, 404, 409, 428, 429, 500, 502, 503, 504]);
}

#[tokio::test]
async fn whatever_a_client_sends() {
    let (site, _tunnel) = Site::connected(Setting::default(), right).await;
    let tag = site.get("/assets/style.css").await.header("etag").unwrap().to_owned();
    let long = format!("GET /livez HTTP/1.1\r\nhost: edge\r\nconnection: close\r\nx: {}\r\n\r\n", "x".repeat(20_000));
    let get =
        |path: &str, lines: &str| format!("GET {path} HTTP/1.1\r\nhost: edge\r\nconnection: close\r\n{lines}\r\n");
    let post = |path: &str, length: usize, body: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: edge\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n{body}"
        )
    };
    let upgrade = "upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n\
                   sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (status, request) in [
        (200, get("/", "")),
        (200, get("/assets/style.css", "")),
        (200, get("/api/v1/info", "")),
        (200, long),
        (304, get("/assets/style.css", &format!("if-none-match: {tag}\r\n"))),
        (400, "GET /livez HTTP/1.1\r\nconnection: close\r\n\r\n".to_owned()),
        (
            403,
            "POST /api/v1/poll HTTP/1.1\r\nhost: edge\r\nconnection: close\r\norigin: https://evil\r\n\r\n".to_owned(),
        ),
        (403, get("/api/v1/client-mfa/remote?token=t", &format!("origin: https://evil\r\n{upgrade}"))),
        (404, get("/nothing", "")),
        (404, get("/nothing", "accept: text/html\r\n")),
        (405, get("/api/v1/poll", "")),
        (401, post("/api/v1/enrollment/activate_user", 16, r#"{"password":"p"}"#)),
        (413, post("/api/v1/poll", 1_000_000, "")),
        (415, "POST /api/v1/poll HTTP/1.1\r\nhost: edge\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_owned()),
        (422, post("/api/v1/poll", 2, "{}")),
    ] {
        assert_eq!(expect(&site.exchange(&request).await), status, "{request}");
    }
}

/// Gives the status, for the test to look at.
#[track_caller]
fn expect(reply: &Reply) -> u16 {
    for (name, value) in ALWAYS {
        assert_eq!(reply.all(name).collect::<Vec<_>>(), [value], "{name} of {reply:?}");
    }
    let policies: Vec<_> = reply.all("content-security-policy").collect();
    let [policy] = policies[..] else { panic!("one policy, not {policies:?}") };
    for part in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert!(reply.header("x-request-id").is_some() && reply.header("defguard-component-version").is_some());
    for banner in ["server", "x-powered-by", "via"] {
        assert_eq!(reply.header(banner), None, "{reply:?}");
    }
    reply.status
}
