//! No page of another site makes this Edge do anything, and no client that is not a browser is kept out.

use crate::{
    harness::{Reply, Setting, Site},
    table::{Open, ROUTES, Route},
};

/// What a browser says with a request from another site, however it was made.
const FOREIGN: [&str; 15] = [
    "sec-fetch-site: cross-site\r\n",
    "sec-fetch-site: same-site\r\n",
    "sec-fetch-site: cross-site\r\norigin: https://edge\r\n",
    "sec-fetch-site: cross-site\r\norigin: tauri://localhost\r\n",
    "sec-fetch-site: none\r\norigin: https://evil.example\r\n",
    "sec-fetch-site: none\r\norigin: null\r\n",
    "sec-fetch-site: same-origin\r\nsec-fetch-site: cross-site\r\norigin: https://edge\r\n",
    "sec-fetch-site: Same-Origin, cross-site\r\n",
    "origin: https://evil.example\r\n",
    "origin: https://edge.evil.example\r\n",
    "origin: https://edge:8443\r\n",
    "origin: http://edge\r\n",
    "origin: https://evil.example\r\norigin: https://edge\r\n",
    "origin: \r\n",
    "origin: https://tauri.localhost.evil.example\r\n",
];

/// Our own pages, programs, and the windows of the stock desktop.
const OWN: [&str; 10] = [
    "",
    "origin: https://edge\r\n",
    "origin: https://edge\r\nsec-fetch-site: same-origin\r\n",
    "origin: https://EDGE\r\nsec-fetch-site: same-origin\r\n",
    // Behind a proxy that writes a Host of its own, and an Edge that was not told its public address.
    "sec-fetch-site: same-origin\r\norigin: https://vpn.example.org:8443\r\n",
    "sec-fetch-site: none\r\n",
    "origin: tauri://localhost\r\n",
    "origin: http://tauri.localhost\r\n",
    "origin: https://tauri.localhost\r\n",
    "origin: null\r\n",
];

#[tokio::test]
async fn every_route_refuses_what_another_site_sends() {
    let open = Open::new(Setting::default()).await;
    let before = open.tunnel.request_count();
    for route in &ROUTES {
        for lines in FOREIGN {
            let reply = send(&open, route, &format!("content-type: application/json\r\n{lines}")).await;
            assert_eq!((reply.status, &reply.json()["code"]), (403, &"cross_site".into()), "{} {lines:?}", route.path);
            assert_eq!(reply.all("set-cookie").count(), 0);
        }
    }
    assert_eq!(open.tunnel.request_count(), before);
}

#[tokio::test]
async fn every_route_takes_what_its_own_page_or_a_program_sends() {
    let open = Open::new(Setting::default()).await;
    for route in &ROUTES {
        for lines in OWN {
            let reply = send(&open, route, &format!("content-type: application/json\r\n{lines}")).await;
            assert_ne!(reply.status, 403, "{} {lines:?} {reply:?}", route.path);
            assert_ne!(reply.status, 415, "{} {lines:?} {reply:?}", route.path);
        }
    }
}

#[tokio::test]
async fn an_address_that_the_edge_was_not_told_of_is_its_own_when_the_browser_called_it() {
    let site = Site::start(Setting::default()).await;
    for (host, origin, status) in [
        ("10.0.0.5:8080", "http://10.0.0.5:8080", 503),
        ("10.0.0.5:8080", "http://10.0.0.5", 403),
        ("10.0.0.5:8080", "http://10.0.0.5:8081", 403),
        ("[fd00::5]", "https://[fd00::5]", 503),
        ("[fd00::5]:443", "https://[fd00::5]", 503),
        ("vpn.example.org:80", "http://vpn.example.org", 503),
        ("vpn.example.org:80", "https://vpn.example.org", 403),
        ("VPN.example.org.", "https://vpn.example.org.", 503),
        // A proxy that writes a Host of its own.
        ("postern_edges", "https://edge", 503),
        ("postern_edges", "https://evil.example", 403),
    ] {
        let body = r#"{"token":"t"}"#;
        let head = format!(
            "POST /api/v1/poll HTTP/1.1\r\nhost: {host}\r\norigin: {origin}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        assert_eq!(site.exchange(&head).await.status, status, "{host} {origin}");
    }
}

#[tokio::test]
async fn the_types_that_a_form_can_send_are_refused_from_everywhere() {
    let open = Open::new(Setting::default()).await;
    let before = open.tunnel.request_count();
    for route in &ROUTES {
        for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""] {
            for lines in OWN {
                let reply = send(&open, route, &format!("content-type: {kind}\r\n{lines}")).await;
                assert_eq!(reply.status, 415, "{} {kind} {lines:?}", route.path);
            }
        }
    }
    assert_eq!(open.tunnel.request_count(), before);
}

#[tokio::test]
async fn no_get_or_head_changes_anything() {
    let open = Open::new(Setting::default()).await;
    let before = open.tunnel.request_count();
    for route in &ROUTES {
        for method in ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"] {
            let (path, cookies) = (route.path, open.all_cookies());
            let head = format!(
                "{method} {path}?token=t HTTP/1.1\r\nhost: edge\r\nconnection: close\r\ncookie: {cookies}\r\n\r\n"
            );
            let reply = open.site.exchange(&head).await;
            assert_eq!(reply.status, 405, "{method} {path}");
            assert_eq!(reply.header("access-control-allow-origin"), None);
        }
    }
    assert_eq!(open.tunnel.request_count(), before);
}

#[tokio::test]
async fn a_preflight_is_never_answered_with_a_permission() {
    let site = Site::start(Setting::default()).await;
    let head = "OPTIONS /api/v1/poll HTTP/1.1\r\nhost: edge\r\nconnection: close\r\norigin: https://evil.example\r\n\
                access-control-request-method: POST\r\naccess-control-request-headers: content-type\r\n\r\n";
    let reply = site.exchange(head).await;
    assert_eq!(reply.status, 403);
    assert!(reply.headers.iter().all(|(name, _)| !name.starts_with("access-control")), "{reply:?}");
}

async fn send(open: &Open, route: &Route, lines: &str) -> Reply {
    let cookies = open.all_cookies();
    open.site.post_with(route.path, &format!("cookie: {cookies}\r\n{lines}"), &route.body()).await
}
