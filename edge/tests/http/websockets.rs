//! A desktop that waits on a websocket for an approval on a phone.

use std::time::Duration;

use postern_edge::testing::{Answer, eventually};
use postern_proto::{
    proxy::{
        AwaitRemoteMfaFinishRequest, ClientMfaTokenValidationResponse, core_request::Payload as Asked,
        core_response::Payload,
    },
    rejection::Rejection,
};
use tokio::time::Instant;
use tonic::Code;

use crate::{
    answers::right,
    desktop::{Desktop, REMOTE, approval, refused, waits},
    harness::{Setting, Site},
};

async fn nobody_waits(site: &Site) {
    eventually("no wait is left", || site.edge.registry.waits() == 0).await;
}

#[tokio::test]
async fn an_approval_arrives_as_one_text_and_then_the_socket_closes() {
    let (site, tunnel) = Site::connected(Setting::default(), right).await;
    let mut desktop = Desktop::open(&site, "a.b-c").await;
    let [id] = waits(&tunnel, 1).await[..] else { panic!("one wait") };
    let asked: Vec<_> = tunnel.requests(2).await.into_iter().map(|request| request.payload.unwrap()).collect();
    let wait = AwaitRemoteMfaFinishRequest { token: "a.b-c".into() };
    assert!(matches!(&asked[0], Asked::ClientMfaTokenValidation(asked) if asked.token == "a.b-c"));
    assert!(asked[1] == Asked::AwaitRemoteMfaFinish(wait));
    assert_eq!((site.edge.registry.waits(), site.edge.registry.in_flight()), (1, 0));

    tunnel.reply(id, approval()).await;
    desktop.expect_success().await;
    nobody_waits(&site).await;
}

#[tokio::test]
async fn an_approval_that_came_first_is_there_at_once() {
    let (site, _tunnel) = Site::connected(Setting::default(), |request| match request.payload {
        Some(Asked::AwaitRemoteMfaFinish(_)) => Answer::Reply(approval()),
        _ => right(request),
    })
    .await;
    for _ in 0..20 {
        Desktop::open(&site, "t").await.expect_success().await;
    }
}

#[tokio::test]
async fn without_a_live_login_no_socket_opens() {
    let (site, tunnel) = Site::connected(Setting::default(), |request| match &request.payload {
        Some(Asked::ClientMfaTokenValidation(asked)) if asked.token == "dead" => {
            Answer::Reply(Payload::ClientMfaTokenValidation(ClientMfaTokenValidationResponse { token_valid: false }))
        }
        Some(Asked::ClientMfaTokenValidation(_)) => {
            Answer::Reject(Rejection::new(Code::InvalidArgument, "invalid token"))
        }
        _ => right(request),
    })
    .await;
    refused(&site, "?token=dead", "").await.expect_error(401, "no_login", "");
    refused(&site, "?token=forged", "").await.expect_error(400, "invalid_argument", "invalid token");
    assert_eq!(tunnel.request_count(), 2);
    tunnel.hang_up().await;
    eventually("the tunnel is down", || !site.edge.registry.is_connected()).await;
    assert_eq!(refused(&site, "?token=t", "").await.status, 503);
}

#[tokio::test]
async fn a_core_that_does_not_say_whether_the_login_lives_is_504_within_the_budget() {
    let (site, _tunnel) = Site::connected(Setting::default(), |_| Answer::Nothing).await;
    let begun = Instant::now();
    assert_eq!(refused(&site, "?token=t", "").await.status, 504);
    assert!((3.9..4.5).contains(&begun.elapsed().as_secs_f64()), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn what_opens_no_websocket_never_reaches_core() {
    let (site, tunnel) = Site::connected(Setting::default(), right).await;
    for query in ["", "?token=", "?token=a&token=b", "?token=a&token=a", "?Token=a", "?token=%"] {
        refused(&site, query, "").await.expect_error(400, "invalid_query", "The query is not valid");
    }
    let plain = site.get(&format!("{REMOTE}?token=t")).await;
    plain.expect_error(400, "not_websocket", "Open this address as a websocket");
    assert_eq!(site.post(&format!("{REMOTE}?token=t"), "{}").await.status, 405);
    assert_eq!(tunnel.request_count(), 0);
}

#[tokio::test]
async fn no_page_of_another_site_opens_one_and_programs_do() {
    let (site, tunnel) =
        Site::connected(Setting::default(), |_| Answer::Reject(Rejection::new(Code::InvalidArgument, "invalid token")))
            .await;
    for lines in [
        "origin: https://evil.example\r\n",
        "origin: http://edge\r\n",
        "origin: https://edge.evil.example\r\n",
        "origin: https://edge\r\norigin: https://evil.example\r\n",
        "origin: https://evil.example\r\nsec-fetch-site: cross-site\r\n",
        "sec-fetch-site: same-site\r\n",
    ] {
        assert_eq!(refused(&site, "?token=t", lines).await.status, 403, "{lines}");
    }
    assert_eq!(tunnel.request_count(), 0);
    for lines in ["", "origin: https://edge\r\n", "origin: tauri://localhost\r\n"] {
        assert_eq!(refused(&site, "?token=t", lines).await.status, 400, "asked core: {lines}");
    }
    assert_eq!(tunnel.request_count(), 3);
}

#[tokio::test]
async fn the_newest_socket_of_a_login_wins() {
    let (site, tunnel) = Site::connected(Setting::default(), right).await;
    let (mut older, mut other) = (Desktop::open(&site, "t").await, Desktop::open(&site, "other").await);
    waits(&tunnel, 2).await;
    let mut newest = Desktop::open(&site, "t").await;
    let (code, reason) = older.closed().await;
    assert_eq!((code, reason.as_str()), (1008, "Another connection waits for this login"));
    for id in waits(&tunnel, 3).await {
        tunnel.reply(id, approval()).await;
    }
    newest.expect_success().await;
    other.expect_success().await;
    nobody_waits(&site).await;
}

#[tokio::test]
async fn each_end_that_core_gives_a_wait_has_its_close() {
    for (answer, expected) in [
        (Answer::Reject(Rejection::new(Code::Aborted, "another socket waits for this login")), 1008),
        (Answer::Reject(Rejection::new(Code::InvalidArgument, "login session not found")), 1008),
        (Answer::Reject(Rejection::new(Code::DeadlineExceeded, "nobody approved")), 1013),
        (Answer::Reject(Rejection::new(Code::Internal, "table users has no column")), 1011),
        (Answer::Garbage, 1011),
        (postern_edge::testing::empty(), 1011),
    ] {
        let answer = std::sync::Mutex::new(Some(answer));
        let (site, _tunnel) = Site::connected(Setting::default(), move |request| match request.payload {
            Some(Asked::AwaitRemoteMfaFinish(_)) => answer.lock().unwrap().take().unwrap(),
            _ => right(request),
        })
        .await;
        let (code, reason) = Desktop::open(&site, "secret-token").await.closed().await;
        assert_eq!(code, expected, "{reason}");
        assert!(!reason.contains("secret-token") && !reason.contains("users"), "{reason}");
    }
}

#[tokio::test]
async fn a_wait_outlives_its_tunnel() {
    let (site, first) = Site::connected(Setting::default(), right).await;
    let mut desktop = Desktop::open(&site, "t").await;
    waits(&first, 1).await;
    first.hang_up().await;
    eventually("the tunnel is down", || !site.edge.registry.is_connected()).await;
    let second = site.core.connect(site.edge.address, right).await;
    let id = waits(&second, 1).await[0];
    second.reply(id, approval()).await;
    desktop.expect_success().await;
}

#[tokio::test]
async fn a_core_that_is_too_busy_for_a_wait_or_unsure_of_it_is_asked_again() {
    let refusals = std::sync::atomic::AtomicUsize::new(0);
    let (site, _tunnel) = Site::connected(Setting::default(), move |request| match request.payload {
        Some(Asked::AwaitRemoteMfaFinish(_)) => match refusals.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0 => Answer::Reject(Rejection::new(Code::Unavailable, "")),
            1 => Answer::Reject(Rejection::new(Code::ResourceExhausted, "")),
            2 => Answer::Reject(Rejection::new(Code::Unknown, "")),
            _ => Answer::Reply(approval()),
        },
        _ => right(request),
    })
    .await;
    Desktop::open(&site, "t").await.expect_success().await;
}

#[tokio::test]
async fn whoever_leaves_holds_neither_wait_nor_seat() {
    let (site, tunnel) = Site::connected(Setting::default(), right).await;
    let (polite, rude) = (Desktop::open(&site, "a").await, Desktop::open(&site, "b").await);
    waits(&tunnel, 2).await;
    polite.leave().await;
    drop(rude);
    nobody_waits(&site).await;
}

#[tokio::test]
async fn while_draining_a_socket_stays_until_its_answer_and_new_ones_open() {
    let setting = Setting { drain_delay: Duration::from_secs(2), ..Setting::default() };
    let (mut site, tunnel) = Site::connected(setting, right).await;
    let mut before = Desktop::open(&site, "before").await;
    site.drain.begin();
    let mut during = Desktop::open(&site, "during").await;
    let ids = waits(&tunnel, 2).await;
    for id in ids {
        tunnel.reply(id, approval()).await;
    }
    before.expect_success().await;
    during.expect_success().await;
    site.ended().await;
}

#[tokio::test]
async fn a_stopping_edge_waits_for_its_sockets_and_cuts_them_off_before_its_grace_is_over() {
    let mut setting = Setting::default();
    setting.websockets.grace = Duration::from_millis(2_500);
    let (mut site, tunnel) = Site::connected(setting, right).await;
    let mut desktop = Desktop::open(&site, "t").await;
    waits(&tunnel, 1).await;
    let begun = Instant::now();
    site.drain.begin();
    let (code, reason) = desktop.closed().await;
    assert_eq!((code, reason.as_str()), (1012, "The server restarts"));
    assert!((0.4..2.0).contains(&begun.elapsed().as_secs_f64()), "{:?}", begun.elapsed());
    site.ended().await;
    assert!(begun.elapsed() < Duration::from_millis(2_500), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_socket_that_opens_while_draining_ends_with_the_others() {
    let mut setting = Setting { drain_delay: Duration::from_millis(1_000), ..Setting::default() };
    setting.websockets.grace = Duration::from_millis(3_500);
    let (mut site, tunnel) = Site::connected(setting, right).await;
    let begun = Instant::now();
    site.drain.begin();
    tokio::time::sleep(Duration::from_millis(800)).await;
    let mut late = Desktop::open(&site, "late").await;
    waits(&tunnel, 1).await;
    assert_eq!(late.closed().await.0, 1012);
    assert!((1.4..3.0).contains(&begun.elapsed().as_secs_f64()), "{:?}", begun.elapsed());
    site.ended().await;
}
