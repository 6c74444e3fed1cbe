//! Core says no, is away, slow, or talks nonsense: every answer is JSON, and comes in time.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use postern_edge::{
    testing::{Answer, TestEdge, eventually},
    tunnel::in_flight::IN_FLIGHT_MAX,
};
use postern_proto::{client_types::InstanceInfoRequest, rejection::Rejection};
use tokio::task::JoinSet;
use tonic::Code;

use crate::harness::{Reply, Setting, Site};

const AT_ONCE: Duration = Duration::from_millis(200);
const UNAVAILABLE: &str = "The service is not available right now";

#[tokio::test]
async fn each_rejection_has_its_status() {
    let message = "why core says no";
    for (code, status, name, text) in [
        (Code::InvalidArgument, 400, "invalid_argument", message),
        (Code::Unauthenticated, 401, "unauthenticated", message),
        (Code::PermissionDenied, 403, "permission_denied", message),
        (Code::NotFound, 404, "not_found", message),
        (Code::AlreadyExists, 409, "already_exists", message),
        (Code::FailedPrecondition, 428, "failed_precondition", message),
        (Code::ResourceExhausted, 429, "overloaded", "Too many requests"),
        (Code::Internal, 500, "internal", "Internal server error"),
        (Code::Unknown, 502, "outcome_unknown", "Core cannot tell whether this took effect; try again"),
        (Code::Unavailable, 503, "core_unavailable", UNAVAILABLE),
        (Code::DeadlineExceeded, 504, "deadline_exceeded", "Core did not answer in time"),
    ] {
        rejected(code, message).await.expect_error(status, name, text);
    }
}

#[tokio::test]
async fn a_missing_license_is_402() {
    let reply = rejected(Code::FailedPrecondition, "No Valid License").await;
    reply.expect_error(402, "no_license", "Enterprise features are not enabled");
}

#[tokio::test]
async fn whoever_may_come_back_is_told_when() {
    let retry_after = async |code| rejected(code, "").await.header("retry-after").map(str::to_owned);
    assert_eq!(retry_after(Code::Unavailable).await.as_deref(), Some("1"));
    let jittered: u8 = retry_after(Code::ResourceExhausted).await.unwrap().parse().unwrap();
    assert!((1..=4).contains(&jittered));
    assert_eq!(retry_after(Code::Internal).await, None);
}

#[tokio::test]
async fn with_core_away_the_answer_is_503_at_once() {
    let site = Site::start(Setting::default()).await;
    let (reply, took) = timed_poll(&site, "").await;
    reply.expect_error(503, "no_tunnel", UNAVAILABLE);
    assert_eq!(reply.header("retry-after"), Some("1"));
    assert!(took < AT_ONCE, "{took:?}");
}

#[tokio::test]
async fn without_a_session_key_enrollment_is_503() {
    let site = Site::start(Setting::default()).await;
    let reply = site.post("/api/v1/enrollment/start", r#"{"token":"t"}"#).await;
    reply.expect_error(503, "no_session_key", UNAVAILABLE);
}

#[tokio::test]
async fn a_core_that_hangs_up_is_502_at_once() {
    let (site, tunnel) = Site::connected(Setting::default(), |_| Answer::Nothing).await;
    let hang_up = async {
        tunnel.requests(1).await;
        tunnel.hang_up().await;
    };
    let ((reply, took), ()) = tokio::join!(timed_poll(&site, ""), hang_up);
    reply.expect_error(502, "tunnel_lost", "The connection to Core was lost");
    assert!(took < AT_ONCE, "{took:?}");
}

#[tokio::test]
async fn a_reply_that_is_none_is_502() {
    let (site, _tunnel) = Site::connected(Setting::default(), |_| Answer::Garbage).await;
    timed_poll(&site, "").await.0.expect_error(502, "bad_reply", "Core sent an unreadable reply");
}

#[tokio::test]
async fn a_reply_to_another_question_is_502() {
    let (site, _tunnel) = Site::connected(Setting::default(), |_| postern_edge::testing::empty()).await;
    timed_poll(&site, "").await.0.expect_error(502, "bad_reply", "Core sent an unreadable reply");
}

#[tokio::test]
async fn a_core_that_never_answers_is_504_within_the_budget() {
    let (site, _tunnel) = Site::connected(Setting::default(), |_| Answer::Nothing).await;
    let (reply, took) = timed_poll(&site, "").await;
    reply.expect_error(504, "deadline_exceeded", "Core did not answer in time");
    assert!((3.9..4.5).contains(&took.as_secs_f64()), "{took:?}");
    eventually("no slot is held", || site.edge.registry.in_flight() == 0).await;
}

#[tokio::test]
async fn time_spent_in_the_proxy_is_part_of_the_budget() {
    let (site, _tunnel) = Site::connected(Setting::behind_proxy(), |_| Answer::Nothing).await;
    let start = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64() - 3.5;
    let (reply, took) = timed_poll(&site, &format!("x-request-start: {start:.3}\r\n")).await;
    assert_eq!(reply.status, 504);
    assert!((0.3..0.8).contains(&took.as_secs_f64()), "{took:?}");
}

#[tokio::test]
async fn a_caller_that_leaves_holds_no_slot() {
    let (site, tunnel) = Site::connected(Setting::default(), |_| Answer::Nothing).await;
    let call = tokio::time::timeout(Duration::from_millis(300), timed_poll(&site, ""));
    assert!(call.await.is_err());
    assert_eq!(tunnel.request_count(), 1);
    eventually("no slot is held", || site.edge.registry.in_flight() == 0).await;
}

#[tokio::test]
async fn with_as_much_in_flight_as_may_be_calls_are_shed_and_probes_are_not() {
    let (site, tunnel) = Site::connected(Setting::default(), |_| Answer::Nothing).await;
    let mut calls = JoinSet::new();
    for _ in 0..IN_FLIGHT_MAX {
        let client = site.edge.client.clone();
        calls.spawn(async move {
            client.call(InstanceInfoRequest::default(), TestEdge::context(Duration::from_secs(60))).await
        });
    }
    tunnel.requests(IN_FLIGHT_MAX).await;
    let (reply, took) = timed_poll(&site, "").await;
    reply.expect_error(429, "overloaded", "Too many requests");
    let retry_after: u8 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=4).contains(&retry_after) && took < AT_ONCE, "{retry_after} {took:?}");
    for probe in ["/livez", "/readyz"] {
        assert_eq!(site.get(probe).await.status, 200, "{probe}");
    }
}

async fn rejected(code: Code, message: &'static str) -> Reply {
    let no = move |_: &_| Answer::Reject(Rejection::new(code, message));
    let (site, _tunnel) = Site::connected(Setting::default(), no).await;
    timed_poll(&site, "").await.0
}

async fn timed_poll(site: &Site, lines: &str) -> (Reply, Duration) {
    let begun = Instant::now();
    let lines = format!("content-type: application/json\r\n{lines}");
    let reply = site.post_with("/api/v1/poll", &lines, r#"{"token":"t"}"#).await;
    (reply, begun.elapsed())
}
