//! A forgotten password: by a mail, a session, and a new one.

use postern_proto::proxy::{self, core_request::Payload as Asked};
use serde_json::json;

use crate::{
    answers::{DEADLINE, right},
    harness::{Setting, Site},
    table::{pair, with_cookie},
};

#[tokio::test]
async fn a_person_resets_the_password_with_the_cookie_of_start() {
    let (site, tunnel) = Site::connected(Setting::default(), right).await;
    let requested = site.post("/api/v1/password-reset/request", r#"{"email":"joe@ex.org"}"#).await;
    assert_eq!((requested.status, requested.json(), requested.header("set-cookie")), (200, json!({}), None));

    let started = site.post("/api/v1/password-reset/start", r#"{"token":"of-the-mail"}"#).await;
    assert_eq!((started.status, started.json()), (200, json!({"deadline_timestamp": DEADLINE})));

    // The page sends its token once more, and it does not count.
    let body = r#"{"password":"s3cret","token":"another"}"#;
    let reset = with_cookie(&site, "/api/v1/password-reset/reset", &pair(&started), body).await;
    assert_eq!((reset.status, reset.json()), (200, json!({})));
    let removal = reset.header("set-cookie").unwrap();
    assert!(removal.starts_with("defguard_proxy_password_reset=; Path=/api/v1/password-reset; "), "{removal}");

    let asked: Vec<_> = tunnel.requests(3).await.into_iter().map(|request| request.payload.unwrap()).collect();
    let expected = [
        Asked::PasswordResetInit(proxy::PasswordResetInitializeRequest { email: "joe@ex.org".into() }),
        Asked::PasswordResetStart(proxy::PasswordResetStartRequest { token: "of-the-mail".into() }),
        Asked::PasswordReset(proxy::PasswordResetRequest {
            password: "s3cret".into(),
            token: Some("of-the-mail".into()),
        }),
    ];
    assert!(asked == expected, "{asked:?}");
}

#[tokio::test]
async fn a_session_of_one_kind_does_nothing_for_another() {
    let (site, tunnel) = Site::connected(Setting::default(), right).await;
    let reset = pair(&site.post("/api/v1/password-reset/start", r#"{"token":"t"}"#).await);
    let enrollment = pair(&site.post("/api/v1/enrollment/start", r#"{"token":"t"}"#).await);
    let (_, reset_value) = reset.split_once('=').unwrap();
    let (_, enrollment_value) = enrollment.split_once('=').unwrap();
    for cookie in [enrollment.clone(), format!("defguard_proxy_password_reset={enrollment_value}")] {
        let reply = with_cookie(&site, "/api/v1/password-reset/reset", &cookie, r#"{"password":"s3cret"}"#).await;
        reply.expect_error(401, "no_session", "Session not found");
    }
    for cookie in [reset.clone(), format!("defguard_proxy={reset_value}")] {
        let reply = with_cookie(&site, "/api/v1/enrollment/activate_user", &cookie, r#"{"password":"s3cret"}"#).await;
        reply.expect_error(401, "no_session", "Session not found");
    }
    assert_eq!(tunnel.request_count(), 2);
}
