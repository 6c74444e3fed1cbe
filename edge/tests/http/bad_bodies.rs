//! Bodies that cannot be taken: each kind has its status, and none reaches Core.

use crate::{
    answers::right,
    harness::{Setting, Site},
};

const POLL: &str = "/api/v1/poll";

#[tokio::test]
async fn broken_json_is_400() {
    let (site, tunnel) = Site::connected(Setting::default(), right).await;
    let deep = format!(r#"{{"token":"t","x":{}}}"#, "[".repeat(8000));
    let balanced = format!(r#"{{"token":"t","x":{}{}}}"#, "[".repeat(8000), "]".repeat(8000));
    for body in ["", "{", r#"{"token":"t"} more"#, "\u{feff}{}", &deep, &balanced] {
        site.post(POLL, body).await.expect_error(400, "invalid_json", "The body is not valid JSON");
    }
    assert_eq!(tunnel.request_count(), 0);
}

#[tokio::test]
async fn a_field_that_occurs_twice_is_400() {
    let site = Site::start(Setting::default()).await;
    let reply = site.post(POLL, r#"{"token":"a","token":"b"}"#).await;
    reply.expect_error(400, "duplicate_field", "A field of the body occurs twice");
}

#[tokio::test]
async fn a_wrong_shape_is_422() {
    let site = Site::start(Setting::default()).await;
    for body in ["{}", "[]", r#"["t"]"#, "5", "null", r#"{"token":5}"#, r#"{"token":null}"#, r#"{"token":["t"]}"#] {
        let reply = site.post(POLL, body).await;
        reply.expect_error(422, "wrong_shape", "A field of the body is missing or has the wrong type");
    }
}

#[tokio::test]
async fn unknown_fields_are_ignored() {
    let (site, _tunnel) = Site::connected(Setting::default(), right).await;
    let reply = site.post(POLL, r#"{"new":{"a":[1,null]},"token":"t","new":2}"#).await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn another_content_type_is_415() {
    let site = Site::start(Setting::default()).await;
    for lines in ["", "content-type: text/plain\r\n", "content-type: application/x-www-form-urlencoded\r\n"] {
        let reply = site.post_with(POLL, lines, r#"{"token":"t"}"#).await;
        reply.expect_error(415, "content_type", "Content-Type must be application/json");
    }
}

#[tokio::test]
async fn a_huge_body_is_413_before_it_is_sent() {
    let site = Site::start(Setting::default()).await;
    let head =
        "POST /api/v1/poll HTTP/1.1\r\nhost: edge\r\ncontent-type: application/json\r\ncontent-length: 16385\r\n\r\n";
    site.exchange(head).await.expect_error(413, "body_too_large", "The body is too large");
}

#[tokio::test]
async fn a_body_of_the_largest_size_is_taken() {
    let (site, _tunnel) = Site::connected(Setting::default(), right).await;
    let body = format!(r#"{{"token":"{}"}}"#, "x".repeat(16 * 1024 - 12));
    assert_eq!(body.len(), 16 * 1024);
    assert_eq!(site.post(POLL, &body).await.status, 200);
}

#[tokio::test]
async fn an_ambiguous_length_is_400_and_ends_the_connection() {
    let site = Site::start(Setting::default()).await;
    let chunked = "transfer-encoding: chunked\r\n";
    for lengths in
        [format!("content-length: 5\r\n{chunked}"), format!("{chunked}content-length: 5\r\n"), chunked.into()]
    {
        let poisoned = format!(
            "POST /api/v1/poll HTTP/1.1\r\nhost: edge\r\ncontent-type: application/json\r\n{lengths}\r\n\
             0\r\n\r\nGET /livez HTTP/1.1\r\nhost: edge\r\nconnection: close\r\n\r\n"
        );
        let reply = site.exchange(&poisoned).await;
        assert_eq!(reply.status, 400, "{lengths}");
        assert!(!reply.body.contains("HTTP/1.1"), "the poisoned request was answered: {reply:?}");
    }
}
