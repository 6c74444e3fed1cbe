//! What holds for every route that takes JSON: limits, shapes, sessions, and each of Core's answers.

use postern_edge::testing::Answer;
use postern_proto::rejection::Rejection;
use tonic::Code;

use crate::{
    harness::{Setting, Site},
    table::{Need, Open, ROUTES},
};

const WRONG_SHAPE: &str = "A field of the body is missing or has the wrong type";

#[tokio::test]
async fn a_right_body_is_200_and_json() {
    let open = Open::new(Setting::default()).await;
    for route in &ROUTES {
        let reply = open.ask(route, &route.body()).await;
        assert_eq!((reply.status, reply.json().is_object()), (200, true), "{}", route.path);
    }
}

#[tokio::test]
async fn what_is_optional_may_be_null_or_absent_and_nothing_else_may() {
    let open = Open::new(Setting::default()).await;
    for route in &ROUTES {
        for (name, _, need) in route.fields {
            for body in [route.body_with(name, "null"), route.body_without(name)] {
                let before = open.tunnel.request_count();
                let reply = open.ask(route, &body).await;
                match need {
                    Need::Optional => assert_eq!(reply.status, 200, "{} {body}", route.path),
                    Need::Required => {
                        reply.expect_error(422, "wrong_shape", WRONG_SHAPE);
                        assert_eq!(open.tunnel.request_count(), before, "{} {body}", route.path);
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn a_wrong_type_is_422_and_never_reaches_core() {
    let open = Open::new(Setting::default()).await;
    let before = open.tunnel.request_count();
    for route in &ROUTES {
        for (name, right, _) in route.fields {
            let takes_number = matches!(*name, "method" | "type") || !right.starts_with('"');
            let other = if takes_number { "1.5" } else { "1" };
            for wrong in [other, "true", "[]", "{}", r#"{"Totp":null}"#, r#"["x"]"#] {
                open.ask(route, &route.body_with(name, wrong)).await.expect_error(422, "wrong_shape", WRONG_SHAPE);
            }
        }
        for body in ["[]", "null", "5", r#""t""#, r#"["t","t","t"]"#] {
            open.ask(route, body).await.expect_error(422, "wrong_shape", WRONG_SHAPE);
        }
    }
    assert_eq!(open.tunnel.request_count(), before);
}

#[tokio::test]
async fn a_number_that_does_not_fit_is_refused() {
    let open = Open::new(Setting::default()).await;
    let start = ROUTES.iter().find(|route| route.path.ends_with("client-mfa/start")).unwrap();
    for huge in ["9223372036854775808", "1e3", "-9223372036854775809", "1e999"] {
        let status = open.ask(start, &start.body_with("location_id", huge)).await.status;
        assert!(matches!(status, 400 | 422), "{huge}: {status}");
    }
}

#[tokio::test]
async fn a_field_that_occurs_twice_is_400() {
    let open = Open::new(Setting::default()).await;
    for route in &ROUTES {
        for (name, right, _) in route.fields {
            let body = route.body();
            let doubled = format!(r#"{},"{name}":{right}}}"#, &body[..body.len() - 1]);
            let reply = open.ask(route, &doubled).await;
            reply.expect_error(400, "duplicate_field", "A field of the body occurs twice");
        }
    }
}

#[tokio::test]
async fn unknown_fields_are_ignored_but_not_their_depth() {
    let open = Open::new(Setting::default()).await;
    for route in &ROUTES {
        let body = route.body();
        let with = |extra: &str| format!(r#"{},"future":{extra}}}"#, &body[..body.len() - 1]);
        for extra in ["null", "1", r#"{"os_name":{"result":{"Value":"Ubuntu"}},"os_name":1}"#] {
            assert_eq!(open.ask(route, &with(extra)).await.status, 200, "{} {extra}", route.path);
        }
        for extra in ["[".repeat(8000), format!("{}{}", "[".repeat(40), "]".repeat(40))] {
            open.ask(route, &with(&extra)).await.expect_error(400, "invalid_json", "The body is not valid JSON");
        }
    }
}

#[tokio::test]
async fn a_body_that_is_no_json_or_too_large_never_reaches_core() {
    let open = Open::new(Setting::default()).await;
    let before = open.tunnel.request_count();
    for route in &ROUTES {
        let body = route.body();
        let last = &body[..body.len() - 1];
        for broken in ["", "{", last, &format!("{body} x"), &format!("\u{feff}{body}"), &body.replace(':', "=")] {
            open.ask(route, broken).await.expect_error(400, "invalid_json", "The body is not valid JSON");
        }
        let huge = format!(r#"{last},"x":"{}"}}"#, "x".repeat(17_000));
        open.ask(route, &huge).await.expect_error(413, "body_too_large", "The body is too large");
        let plain = open.site.post_with(route.path, "content-type: text/plain\r\n", &body).await;
        plain.expect_error(415, "content_type", "Content-Type must be application/json");
    }
    assert_eq!(open.tunnel.request_count(), before);
}

#[tokio::test]
async fn another_method_is_405_and_without_a_tunnel_it_is_503_never_404() {
    let site = Site::start(Setting::default()).await;
    for route in &ROUTES {
        for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"] {
            let head = format!("{method} {} HTTP/1.1\r\nhost: edge\r\nconnection: close\r\n\r\n", route.path);
            assert_eq!(site.exchange(&head).await.status, 405, "{method} {}", route.path);
        }
        assert_eq!(site.post(route.path, &route.body()).await.status, 503, "{}", route.path);
    }
}

#[tokio::test]
async fn a_desktop_hears_404_for_its_network_from_core_only() {
    let open = Open::new(Setting::default()).await;
    for path in ["/edge/api/v1/enrollment/network_info", "//api/v1/enrollment/network_info"] {
        open.site.post(path, r#"{"pubkey":"k="}"#).await.expect_error(501, "not_implemented", "Not implemented");
    }
    let route = ROUTES.iter().find(|route| route.path.ends_with("network_info")).unwrap();
    open.ask_with(route, "", &route.body()).await.expect_error(401, "no_session", "Session not found");
    open.answer(|_| Answer::Reject(Rejection::new(Code::NotFound, "device not found")));
    open.ask(route, &route.body()).await.expect_error(404, "not_found", "device not found");
}

#[tokio::test]
async fn each_refusal_of_core_has_its_status_on_every_route() {
    let open = Open::new(Setting::default()).await;
    for (code, status, name) in [
        (Code::InvalidArgument, 400, "invalid_argument"),
        (Code::Unauthenticated, 401, "unauthenticated"),
        (Code::PermissionDenied, 403, "permission_denied"),
        (Code::NotFound, 404, "not_found"),
        (Code::AlreadyExists, 409, "already_exists"),
        (Code::FailedPrecondition, 428, "failed_precondition"),
    ] {
        open.answer(move |_| Answer::Reject(Rejection::new(code, "why core says no")));
        for route in &ROUTES {
            open.ask(route, &route.body()).await.expect_error(status, name, "why core says no");
        }
    }
}

#[tokio::test]
async fn what_core_says_of_its_own_trouble_stays_inside_on_every_route() {
    let open = Open::new(Setting::default()).await;
    for (code, status) in [
        (Code::ResourceExhausted, 429),
        (Code::Internal, 500),
        (Code::Unknown, 502),
        (Code::DataLoss, 500),
        (Code::Unavailable, 503),
        (Code::DeadlineExceeded, 504),
    ] {
        open.answer(move |_| Answer::Reject(Rejection::new(code, "table users has no column")));
        for route in &ROUTES {
            let reply = open.ask(route, &route.body()).await;
            assert_eq!((reply.status, reply.json()["error"].is_string()), (status, true), "{}", route.path);
            assert!(!reply.body.contains("users"), "{}", reply.body);
        }
    }
}

#[tokio::test]
async fn who_tried_too_often_is_told_when_to_come_back_on_every_route() {
    let open = Open::new(Setting::default()).await;
    let text = "Too many attempts. Try again in 90 seconds";
    open.answer(move |_| Answer::Reject(Rejection::new(Code::ResourceExhausted, text).retry_after(90)));
    for route in &ROUTES {
        let reply = open.ask(route, &route.body()).await;
        reply.expect_error(429, "too_many_attempts", text);
        assert_eq!(reply.all("retry-after").collect::<Vec<_>>(), ["90"], "{}", route.path);
    }
}
