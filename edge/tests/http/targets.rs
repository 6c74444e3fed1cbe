//! Methods and targets: what is served is served under one name only.

use crate::{
    answers::right,
    harness::{Setting, Site},
};

#[tokio::test]
async fn a_path_has_one_spelling() {
    let (site, tunnel) = Site::connected(Setting::default(), right).await;
    for path in [
        "/api/v1/poll/",
        "//api/v1/poll",
        "/api//v1/poll",
        "/api/v1//poll",
        "/api/v1/./poll",
        "/api/v1/../v1/poll",
        "/./api/v1/poll",
        "/x/../api/v1/poll",
        "/api%2Fv1/poll",
        "/api/v1%2fpoll",
        "/api/v1/%70oll",
        "/%61pi/v1/poll",
        "/api/v1/poll%00",
        "/api/v1/poll;x=1",
        "/api/v1/poll%3Fx",
        "/API/v1/poll",
        "/api\\v1\\poll",
        "/api/v1/poll%20",
        "/api/v1/..%2fv1/poll",
        "/api/v1/%2e%2e/v1/poll",
    ] {
        let reply = site.post(path, r#"{"token":"t"}"#).await;
        assert!([400, 404].contains(&reply.status), "{path}: {reply:?}");
        assert!(!reply.body.contains(path.trim_matches('/')), "{path} is repeated: {reply:?}");
    }
    for path in ["//", "/open-desktop/", "///open-desktop", "/open-desktop//", "//password", "/%2Fopen-desktop"] {
        assert_eq!(site.get(path).await.status, 404, "{path}");
    }
    assert_eq!(tunnel.request_count(), 0);
}

#[tokio::test]
async fn only_the_methods_of_a_path_are_taken() {
    let site = Site::start(Setting::default()).await;
    for (path, allowed) in
        [("/api/v1/poll", "POST"), ("/livez", "GET,HEAD"), ("/", "GET,HEAD"), ("/assets/page.js", "GET,HEAD")]
    {
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "FOO"] {
            if allowed.split(',').any(|known| known == method) {
                continue;
            }
            let head =
                format!("{method} {path} HTTP/1.1\r\nhost: edge\r\nconnection: close\r\nx-canary: canary\r\n\r\n");
            let reply = site.exchange(&head).await;
            assert_eq!((reply.status, reply.header("allow")), (405, Some(allowed)), "{method} {path}");
            assert!(!reply.body.contains("canary"), "{method} {path} is reflected");
        }
    }
    assert_eq!(
        site.exchange("CONNECT edge:443 HTTP/1.1\r\nhost: edge:443\r\nconnection: close\r\n\r\n").await.status,
        404
    );
    assert_eq!(site.exchange("OPTIONS * HTTP/1.1\r\nhost: edge\r\nconnection: close\r\n\r\n").await.status, 404);
}

#[tokio::test]
async fn a_request_names_its_host_once() {
    let site = Site::start(Setting::default()).await;
    for (head, status) in [
        ("GET /livez HTTP/1.1\r\nhost: edge\r\n", 200),
        ("GET /livez HTTP/1.1\r\n", 400),
        ("GET /livez HTTP/1.1\r\nhost:\r\n", 400),
        ("GET /livez HTTP/1.1\r\nhost: edge\r\nhost: edge\r\n", 400),
        ("GET /livez HTTP/1.1\r\nhost: edge\r\nhost: evil\r\n", 400),
        ("GET http://edge/livez HTTP/1.1\r\nhost: edge\r\n", 200),
        ("GET http://EDGE/livez HTTP/1.1\r\nhost: edge\r\n", 200),
        ("GET http://evil/livez HTTP/1.1\r\nhost: edge\r\n", 400),
        ("GET http://edge@evil/livez HTTP/1.1\r\nhost: edge\r\n", 400),
        ("GET http://edge/livez HTTP/1.1\r\n", 200),
        // Health checks of old proxies.
        ("GET /livez HTTP/1.0\r\n", 200),
    ] {
        let reply = site.exchange(&format!("{head}connection: close\r\n\r\n")).await;
        assert_eq!(reply.status, status, "{head}");
    }
}
