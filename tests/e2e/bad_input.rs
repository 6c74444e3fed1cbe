//! What people, scanners and broken clients send, through NGINX: each gets its status and JSON, and nothing is left behind.

use bytes::Bytes;
use http::Method;
use postern_tests::{
    Client, Cluster, Reply,
    enrollment::{Enrollment, PASSWORD, public_key},
};
use serde_json::json;

const START: &str = "/api/v1/enrollment/start";
const CREATE: &str = "/api/v1/enrollment/create_device";
const NETWORK_INFO: &str = "/api/v1/enrollment/network_info";
const START_FACTOR: &str = "/api/v1/enrollment/register-mfa/code/start";
const FINISH_FACTOR: &str = "/api/v1/enrollment/register-mfa/code/finish";
const START_LOGIN: &str = "/api/v1/client-mfa/start";
const FINISH_LOGIN: &str = "/api/v1/client-mfa/finish";

#[tokio::test]
async fn malformed_requests_get_their_status_and_json() {
    let cluster = Cluster::start().await.expect("the cluster starts");
    let json = cluster.public().with_header("content-type", "application/json");
    let huge = format!(r#"{{"token":"{}"}}"#, "x".repeat(20_000));
    let just_fits_nginx_but_is_deep = format!(r#"{{"token":{}1{}}}"#, "[".repeat(4_000), "]".repeat(4_000));
    let cases = [
        ("broken JSON", START, r#"{"token":"#, &[400][..]),
        ("an empty body", START, "", &[400]),
        ("a duplicate field", START, r#"{"token":"a","token":"b"}"#, &[400]),
        ("a wrong type", START, r#"{"token":1}"#, &[400, 422]),
        ("deep nesting", START, &just_fits_nginx_but_is_deep, &[400, 422]),
        ("a huge body", START, &huge, &[413]),
        ("an unknown token", START, r#"{"token":"nobody-has-this"}"#, &[401]),
        ("no cookie", CREATE, r#"{"name":"a","pubkey":"b"}"#, &[401]),
    ];
    for (what, path, body, statuses) in cases {
        let reply = json.send(Method::POST, path, Bytes::copy_from_slice(body.as_bytes())).await.expect(what);
        assert_refused(what, &reply, statuses);
    }
    let plain = cluster.public().with_header("content-type", "text/plain");
    let reply = plain.send(Method::POST, START, Bytes::from_static(b"{}")).await.expect("plain text");
    assert_refused("a wrong content type", &reply, &[415]);
    assert_refused("a wrong method", &cluster.public().get(START).await.expect("GET"), &[405]);
    assert_refused("NGINX's own page", &cluster.public().get("/_postern_error").await.expect("GET"), &[404]);
    let coded = cluster.public().with_header("transfer-encoding", "gzip");
    let reply = coded.send(Method::POST, START, Bytes::from_static(b"{}")).await.expect("a foreign coding");
    assert_refused("a foreign coding", &reply, &[400, 501]);
}

#[tokio::test]
async fn malformed_requests_around_the_second_factor_get_their_status_and_json() {
    let cluster = Cluster::start().await.expect("the cluster starts");
    let token = cluster.invite("joe").await.expect("a person is invited");
    let enrollment = Enrollment::start(&cluster.public(), &token).await.expect("start");
    let json =
        cluster.public().with_header("content-type", "application/json").with_header("cookie", &enrollment.cookie);
    let huge = "x".repeat(20_000);
    let deep = format!(r#"{{"token":{}1{}}}"#, "[".repeat(4_000), "]".repeat(4_000));
    for path in [NETWORK_INFO, START_FACTOR, FINISH_FACTOR, START_LOGIN, FINISH_LOGIN] {
        for (what, body, statuses) in [
            ("broken JSON", r#"{"token":"#, &[400][..]),
            ("an empty body", "", &[400]),
            ("no object", "[]", &[400, 422]),
            ("nothing in it", "{}", &[400, 422]),
            ("null", "null", &[400, 422]),
            (
                "a duplicate field",
                r#"{"method":0,"method":1,"token":"a","token":"b","code":"1","code":"2","pubkey":"a","pubkey":"b"}"#,
                &[400, 422],
            ),
            ("deep nesting", &deep, &[400, 422]),
            ("a huge body", &huge, &[413]),
            ("bytes that are no text", "\u{0}\u{1}", &[400]),
        ] {
            let what = format!("{what} at {path}");
            let reply = json.send(Method::POST, path, Bytes::copy_from_slice(body.as_bytes())).await.expect(&what);
            assert_refused(&what, &reply, statuses);
        }
        assert_refused(path, &cluster.public().get(path).await.expect("GET"), &[405]);
    }
    for (path, body, status) in [
        (NETWORK_INFO, json!({ "pubkey": "no key" }), 400),
        (NETWORK_INFO, json!({ "pubkey": 7 }), 422),
        (START_FACTOR, json!({ "method": "Morse" }), 400),
        (START_FACTOR, json!({ "method": "Email" }), 400),
        (START_FACTOR, json!({ "method": 4_711 }), 400),
        (FINISH_FACTOR, json!({ "code": "123456", "method": "Totp" }), 400),
        (FINISH_FACTOR, json!({ "code": 123_456, "method": "Totp" }), 422),
        (FINISH_FACTOR, json!({ "code": "x".repeat(9_000), "method": "Totp" }), 400),
        (START_LOGIN, json!({ "location_id": i64::MAX, "pubkey": "\u{0}", "method": 0 }), 400),
        (START_LOGIN, json!({ "location_id": "1", "pubkey": "", "method": 0 }), 422),
        (START_LOGIN, json!({ "location_id": 1, "pubkey": "", "method": 99 }), 400),
        (FINISH_LOGIN, json!({ "token": "", "code": "" }), 400),
        (FINISH_LOGIN, json!({ "token": "' OR 1=1 --", "code": "000000" }), 400),
        (FINISH_LOGIN, json!({ "token": "x".repeat(32), "code": null, "auth_pub_key": "k" }), 400),
    ] {
        let what = format!("{body} at {path}");
        let reply = json.post(path, &body).await.expect(&what);
        assert_refused(&what, &reply, &[status]);
    }
    // Nothing of this has done anything to the session.
    let created = enrollment.create_device("laptop", &public_key().expect("a key")).await.expect("create_device");
    assert_eq!(created.status, 200, "{created:?}");
}

#[tokio::test]
async fn headers_that_legacy_clients_send_do_no_harm() {
    let cluster = Cluster::start().await.expect("the cluster starts");
    let token = cluster.invite("joe").await.expect("a person is invited");
    let legacy =
        cluster.public().with_header("CLIENT_VERSION_HEADER", "1.6").with_header("X_Forwarded_For", "192.0.2.1");
    let enrollment = Enrollment::start(&legacy, &token).await.expect("start");

    // Stock desktops send the whole Set-Cookie line back.
    let cookie =
        format!("{}; Path=/api/v1/enrollment; HttpOnly; Expires=Thu, 01 Jan 2099 00:00:00 GMT", enrollment.cookie);
    let enrollment = Enrollment { cookie, ..enrollment };
    let created = enrollment.create_device("laptop", &public_key().expect("a key")).await.expect("create_device");
    assert_eq!(created.status, 200, "{created:?}");
}

#[tokio::test]
async fn a_tampered_cookie_a_weak_password_and_a_second_activation_are_refused() {
    let cluster = Cluster::start().await.expect("the cluster starts");
    let token = cluster.invite("joe").await.expect("a person is invited");
    let enrollment = Enrollment::start(&cluster.public(), &token).await.expect("start");
    let mut tampered = enrollment.clone();
    let last = if tampered.cookie.pop() == Some('A') { 'B' } else { 'A' };
    tampered.cookie.push(last);
    let reply = tampered.create_device("laptop", &public_key().expect("a key")).await.expect("create_device");
    assert_refused("a tampered cookie", &reply, &[401]);

    let weak = enrollment.activate_user("weak").await.expect("activate_user");
    assert_refused("a weak password", &weak, &[400]);
    let bad_key = enrollment.create_device("laptop", "not a key").await.expect("create_device");
    assert_refused("a key that is no key", &bad_key, &[400]);
    assert_eq!(cluster.cli(&["device", "list"]).await.expect("device list"), json!([]));

    let activated = enrollment.activate_user(PASSWORD).await.expect("activate_user");
    assert_eq!(activated.status, 200, "{activated:?}");
    let again = enrollment.activate_user("Another-long-passw0rd!").await.expect("activate_user again");
    assert_refused("a second activation", &again, &[400]);
}

#[tokio::test]
async fn a_new_invitation_ends_the_one_before_it() {
    let cluster = Cluster::start().await.expect("the cluster starts");
    let first = cluster.invite("joe").await.expect("a person is invited");
    let second = cluster.cli(&["user", "enroll", "joe"]).await.expect("user enroll");

    let refused = cluster.public().post(START, &json!({ "token": first })).await.expect("start");
    assert_refused("a replaced token", &refused, &[401]);
    let started = cluster.public().post(START, &json!({ "token": second["token"] })).await.expect("start");
    assert_eq!(started.status, 200, "{started:?}");
}

#[tokio::test]
async fn a_client_address_in_a_header_is_not_believed() {
    let cluster = Cluster::start().await.expect("the cluster starts");
    let liar =
        cluster.public().with_header("x-forwarded-for", "203.0.113.9").with_header("forwarded", "for=203.0.113.9");
    let reply = liar.post(START, &json!({ "token": "nobody-has-this" })).await.expect("start");
    assert_refused("an unknown token", &reply, &[401]);
    let activity = cluster.cli(&["activity", "--limit", "50"]).await.expect("activity").to_string();
    assert!(!activity.contains("203.0.113.9"), "{activity}");
    assert!(activity.contains("127.0.0.1"), "{activity}");
}

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let cluster = Cluster::start().await.expect("the cluster starts");
    let public: Client = cluster.public();
    let replies = [
        public.get("/api/v1/health").await,
        public.get("/api/v1/info").await,
        public.get("/api/v1/nothing").await,
        public.get(START).await,
        public.post(START, &json!({ "token": "nobody-has-this" })).await,
    ];
    for reply in replies {
        let reply = reply.expect("an answer");
        assert_eq!(reply.header("x-content-type-options"), "nosniff", "{reply:?}");
        assert_eq!(reply.header("referrer-policy"), "no-referrer", "{reply:?}");
        assert_eq!(reply.header("cache-control"), "no-store", "{reply:?}");
        assert!(reply.header("content-security-policy").contains("default-src 'none'"), "{reply:?}");
        assert_ne!(reply.header("x-request-id"), "", "{reply:?}");
        assert_eq!(reply.header("strict-transport-security"), "", "public_url is http: {reply:?}");
    }
}

fn assert_refused(what: &str, reply: &Reply, statuses: &[u16]) {
    assert!(statuses.contains(&reply.status), "{what}: {reply:?}");
    let body = reply.json().expect(what);
    for field in ["error", "code", "request_id"] {
        assert!(body[field].as_str().is_some_and(|text| !text.is_empty()), "{what}: no {field} in {body}");
    }
}
