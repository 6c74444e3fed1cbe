//! Second factors: set up while enrolling, shown at login. Field by field.

use postern_edge::testing::Answer;
use postern_proto::{
    client_types::{self as wire, CodeMfaSetupStartResponse},
    proxy::{core_request::Payload as Asked, core_response::Payload},
};
use serde_json::json;

use crate::{
    answers::{PRESHARED_KEY, TOTP_SECRET, device_config_json},
    harness::Setting,
    table::{Open, ROUTES, Route},
};

fn route(path: &str) -> &'static Route {
    ROUTES.iter().find(|route| route.path.ends_with(path)).unwrap()
}

#[tokio::test]
async fn a_known_device_gets_its_network_again() {
    let open = Open::new(Setting::default()).await;
    let reply = open.ask(route("network_info"), r#"{"pubkey":"k=","token":"mine"}"#).await;
    assert_eq!((reply.status, reply.json()), (200, device_config_json(Some("fresh"))));
    let asked = wire::ExistingDevice { pubkey: "k=".into(), token: Some("session".into()) };
    assert_eq!(open.latest().await, Asked::ExistingDevice(asked));
}

#[tokio::test]
async fn a_factor_is_set_up_in_two_steps_of_one_session() {
    let open = Open::new(Setting::default()).await;
    let started = open.ask(route("code/start"), r#"{"method":"Totp","token":"mine"}"#).await;
    assert_eq!((started.status, started.json()), (200, json!({"totp_secret": TOTP_SECRET})));
    let asked = wire::CodeMfaSetupStartRequest { method: 0, token: "session".into() };
    assert_eq!(open.latest().await, Asked::CodeMfaSetupStart(asked));

    let finished = open.ask(route("code/finish"), r#"{"code":"012345","method":"Totp","token":"mine"}"#).await;
    assert_eq!((finished.status, finished.json()), (200, json!({"recovery_codes": ["code-1", "code-2"]})));
    let asked = wire::CodeMfaSetupFinishRequest { code: "012345".into(), token: "session".into(), method: 0 };
    assert_eq!(open.latest().await, Asked::CodeMfaSetupFinish(asked));
}

#[tokio::test]
async fn a_method_goes_to_core_by_its_number_whether_named_or_numbered() {
    let open = Open::new(Setting::default()).await;
    for (value, number) in [(r#""Email""#, 1), ("1", 1), (r#""Oidc""#, 2), (r#""MobileApprove""#, 4), ("5", 5)] {
        open.ask(route("code/start"), &format!(r#"{{"method":{value}}}"#)).await;
        let Asked::CodeMfaSetupStart(request) = open.latest().await else { panic!("another kind of request") };
        assert_eq!(request.method, number);
        open.ask(route("client-mfa/start"), &route("client-mfa/start").body_with("method", value)).await;
        let Asked::ClientMfaStart(request) = open.latest().await else { panic!("another kind of request") };
        assert_eq!(request.method, number);
    }
}

#[tokio::test]
async fn a_method_that_nobody_knows_is_400_and_never_reaches_core() {
    let open = Open::new(Setting::default()).await;
    let before = open.tunnel.request_count();
    for path in ["code/start", "code/finish", "client-mfa/start"] {
        for value in [r#""""#, r#""totp""#, r#""Sms""#, r#""0""#, "2147483648", "18446744073709551615"] {
            let reply = open.ask(route(path), &route(path).body_with("method", value)).await;
            reply.expect_error(400, "unknown_method", "There is no such MFA method");
        }
    }
    assert_eq!(open.tunnel.request_count(), before);
}

#[tokio::test]
async fn a_code_is_text_and_keeps_its_zeros() {
    let open = Open::new(Setting::default()).await;
    for path in ["code/finish", "client-mfa/finish"] {
        assert_eq!(open.ask(route(path), &route(path).body_with("code", "12345")).await.status, 422, "{path}");
    }
}

#[tokio::test]
async fn a_secret_that_core_does_not_give_is_null() {
    let open = Open::new(Setting::default()).await;
    let without = CodeMfaSetupStartResponse { totp_secret: None };
    open.answer(move |_| Answer::Reply(Payload::CodeMfaSetupStartResponse(without.clone())));
    let reply = open.ask(route("code/start"), r#"{"method":"Email"}"#).await;
    assert_eq!((reply.status, reply.json()), (200, json!({"totp_secret": null})));
}

#[tokio::test]
async fn a_device_logs_in_with_a_code() {
    let open = Open::new(Setting::default()).await;
    let started = open.ask(route("client-mfa/start"), r#"{"location_id":7,"pubkey":"k=","method":0}"#).await;
    assert_eq!((started.status, started.json()), (200, json!({"token": "mfa-session", "challenge": null})));
    let asked = wire::ClientMfaStartRequest { location_id: 7, pubkey: "k=".into(), method: 0, posture_data: None };
    assert_eq!(open.latest().await, Asked::ClientMfaStart(asked));

    let finished = open.ask(route("client-mfa/finish"), r#"{"token":"mfa-session","code":"012345"}"#).await;
    assert_eq!((finished.status, finished.json()), (200, json!({"preshared_key": PRESHARED_KEY, "token": null})));
    let asked =
        wire::ClientMfaFinishRequest { token: "mfa-session".into(), code: Some("012345".into()), auth_pub_key: None };
    assert_eq!(open.latest().await, Asked::ClientMfaFinish(asked));
}

#[tokio::test]
async fn a_challenge_and_a_token_are_passed_on() {
    let open = Open::new(Setting::default()).await;
    open.answer(|request| match request.payload {
        Some(Asked::ClientMfaStart(_)) => Answer::Reply(Payload::ClientMfaStart(wire::ClientMfaStartResponse {
            token: "a".into(),
            challenge: Some("b".into()),
        })),
        _ => Answer::Reply(Payload::ClientMfaFinish(wire::ClientMfaFinishResponse {
            preshared_key: "c".into(),
            token: Some("d".into()),
        })),
    });
    let [start, finish] = [route("client-mfa/start"), route("client-mfa/finish")];
    assert_eq!(open.ask(start, &start.body()).await.json(), json!({"token": "a", "challenge": "b"}));
    let body = r#"{"token":"a","code":"signature","auth_pub_key":"k="}"#;
    assert_eq!(open.ask(finish, body).await.json(), json!({"preshared_key": "c", "token": "d"}));
    let asked = wire::ClientMfaFinishRequest {
        token: "a".into(),
        code: Some("signature".into()),
        auth_pub_key: Some("k=".into()),
    };
    assert_eq!(open.latest().await, Asked::ClientMfaFinish(asked));
}

#[tokio::test]
async fn a_phone_that_approves_for_another_device_does_not_get_its_key() {
    let open = Open::new(Setting::default()).await;
    let reply = open.ask(route("finish-remote"), r#"{"token":"t","code":"signature","auth_pub_key":"k="}"#).await;
    assert_eq!((reply.status, reply.json()), (200, json!({})));
    let asked = wire::ClientMfaFinishRequest {
        token: "t".into(),
        code: Some("signature".into()),
        auth_pub_key: Some("k=".into()),
    };
    assert_eq!(open.latest().await, Asked::ClientMfaFinish(asked));
}

#[tokio::test]
async fn a_phone_names_its_keys_within_the_session() {
    let open = Open::new(Setting::default()).await;
    let mobile = route("register_mobile");
    let reply = open.ask(mobile, &mobile.body()).await;
    assert_eq!((reply.status, reply.json()), (200, json!({})));
    let asked = wire::RegisterMobileAuthRequest {
        token: "session".into(),
        auth_pub_key: PRESHARED_KEY.into(),
        device_pub_key: PRESHARED_KEY.into(),
    };
    assert_eq!(open.latest().await, Asked::RegisterMobileAuth(asked));
}

#[tokio::test]
async fn a_key_that_is_not_32_bytes_in_base64_is_400_and_never_reaches_core() {
    let open = Open::new(Setting::default()).await;
    let before = open.tunnel.request_count();
    let mobile = route("register_mobile");
    let unpadded = PRESHARED_KEY.trim_end_matches('=');
    let url_safe = "-_".repeat(21) + "8=";
    for field in ["auth_pub_key", "device_pub_key"] {
        for key in ["", "k=", "QUJD", &PRESHARED_KEY.repeat(2), unpadded, &url_safe, &format!(" {PRESHARED_KEY}")] {
            let reply = open.ask(mobile, &mobile.body_with(field, &format!("\"{key}\""))).await;
            reply.expect_error(400, "invalid_key", "A key must be 32 bytes in base64");
        }
    }
    assert_eq!(open.tunnel.request_count(), before);
}
