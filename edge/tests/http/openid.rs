//! Logins at an identity provider: only the browser that began one can end it.

use postern_edge::testing::Answer;
use postern_proto::{
    client_types::AuthInfoRequest,
    proxy::{AuthCallbackRequest, ClientMfaOidcAuthenticateRequest, core_request::Payload as Asked},
    rejection::Rejection,
};
use serde_json::json;
use tonic::Code;

use crate::{
    answers::right,
    harness::{Reply, Setting, Site},
    table::{Open, pairs, with_cookie},
};

const AUTH_INFO: &str = "/api/v1/openid/auth_info";
const CALLBACK: &str = "/api/v1/openid/callback";
const MFA_CALLBACK: &str = "/api/v1/openid/callback/mfa";
const BODY: &str = r#"{"code":"c","state":"csrf","type":"enrollment"}"#;
const MFA_BODY: &str = r#"{"code":"c","state":"csrf","type":"mfa"}"#;

#[tokio::test]
async fn a_person_enrolls_through_the_provider() {
    let (site, tunnel) = Site::connected(Setting::default(), right).await;
    let begun = site.post(AUTH_INFO, r#"{"type":"enrollment"}"#).await;
    let expected = json!({"url": "https://id.ex.org/authorize?client_id=1", "button_display_name": "Acme ID"});
    assert_eq!((begun.status, begun.json()), (200, expected));

    let ended = with_cookie(&site, CALLBACK, &pairs(&begun).join("; "), BODY).await;
    let expected = json!({"url": "https://edge.ex.org/", "token": "enroll-me"});
    assert_eq!((ended.status, ended.json()), (200, expected));
    assert_eq!(pairs(&ended), ["nonce_proxy=", "csrf_proxy="]);

    let asked: Vec<_> = tunnel.requests(2).await.into_iter().map(|request| request.payload.unwrap()).collect();
    let expected = [
        Asked::AuthInfo(AuthInfoRequest { redirect_url: String::new(), state: None, auth_flow_type: 1 }),
        Asked::AuthCallback(AuthCallbackRequest { code: "c".into(), nonce: "nonce".into() }),
    ];
    assert!(asked == expected, "{asked:?}");
}

#[tokio::test]
async fn a_login_as_a_second_factor_goes_through_the_provider() {
    let (site, tunnel) = Site::connected(Setting::default(), right).await;
    let begun = site.post(AUTH_INFO, r#"{"type":"mfa","state":"mfa-session"}"#).await;
    let ended = with_cookie(&site, MFA_CALLBACK, &pairs(&begun).join("; "), MFA_BODY).await;
    assert_eq!((ended.status, ended.json()), (200, json!({})));
    assert_eq!(pairs(&ended), ["nonce_proxy=", "csrf_proxy="]);

    let asked: Vec<_> = tunnel.requests(2).await.into_iter().map(|request| request.payload.unwrap()).collect();
    let state = Some("mfa-session".to_owned());
    let expected = [
        Asked::AuthInfo(AuthInfoRequest { redirect_url: String::new(), state, auth_flow_type: 2 }),
        Asked::ClientMfaOidcAuthenticate(ClientMfaOidcAuthenticateRequest {
            code: "c".into(),
            state: "csrf".into(),
            nonce: "nonce".into(),
        }),
    ];
    assert!(asked == expected, "{asked:?}");
}

#[tokio::test]
async fn what_the_browser_keeps_shows_neither_nonce_nor_state() {
    let (site, _tunnel) = Site::connected(Setting::default(), right).await;
    let begun = site.post(AUTH_INFO, r#"{"type":"mfa","state":"t"}"#).await;
    for cookie in begun.all("set-cookie") {
        assert!(!cookie.contains("=nonce") && !cookie.contains("=csrf"), "{cookie}");
    }
    assert!(!begun.body.contains("nonce") && !begun.body.contains("csrf"), "{}", begun.body);
}

#[tokio::test]
async fn an_answer_that_another_browser_began_is_401_and_its_code_stays_here() {
    let open = Open::new(Setting::default()).await;
    let before = open.tunnel.request_count();
    for (path, kind) in [(CALLBACK, "enrollment"), (MFA_CALLBACK, "mfa")] {
        for state in ["", "csr", "csrfx", "Csrf", "csrf ", "nonce"] {
            let body = format!(r#"{{"code":"c","state":"{state}","type":"{kind}"}}"#);
            let reply = with_cookie(&open.site, path, &open.login_cookies, &body).await;
            let text = "This login was begun in another browser, or a newer one has taken its place";
            reply.expect_error(401, "other_browser", text);
            assert_eq!(reply.header("set-cookie"), None, "the login that was begun here goes on");
        }
    }
    assert_eq!(open.tunnel.request_count(), before);
}

#[tokio::test]
async fn one_cookie_of_the_two_is_not_enough_and_they_cannot_be_swapped() {
    let open = Open::new(Setting::default()).await;
    let before = open.tunnel.request_count();
    let (nonce, csrf) = open.login_cookies.split_once("; ").unwrap();
    let swapped =
        format!("nonce_proxy={}; csrf_proxy={}", csrf.split_once('=').unwrap().1, nonce.split_once('=').unwrap().1);
    for cookies in ["", nonce, csrf, &swapped] {
        with_cookie(&open.site, CALLBACK, cookies, BODY).await.expect_error(401, "no_session", "Session not found");
    }
    assert_eq!(open.tunnel.request_count(), before);
}

#[tokio::test]
async fn a_login_for_something_else_is_400_even_before_its_cookies_are_looked_at() {
    let open = Open::new(Setting::default()).await;
    let before = open.tunnel.request_count();
    let expect = |reply: Reply| reply.expect_error(400, "unknown_flow", "There is no such login here");
    for cookies in ["", &open.login_cookies] {
        expect(with_cookie(&open.site, CALLBACK, cookies, MFA_BODY).await);
        expect(with_cookie(&open.site, MFA_CALLBACK, cookies, BODY).await);
        for kind in [r#""""#, r#""Mfa""#, "0", "3", "-1"] {
            let body = format!(r#"{{"code":"c","state":"csrf","type":{kind}}}"#);
            expect(with_cookie(&open.site, CALLBACK, cookies, &body).await);
            expect(open.site.post(AUTH_INFO, &format!(r#"{{"type":{kind}}}"#)).await);
        }
    }
    assert_eq!(open.tunnel.request_count(), before);
}

#[tokio::test]
async fn a_kind_of_login_may_be_a_number_too() {
    let open = Open::new(Setting::default()).await;
    let reply = with_cookie(&open.site, CALLBACK, &open.login_cookies, &BODY.replace(r#""enrollment""#, "1")).await;
    assert_eq!(reply.status, 200);
    let reply = with_cookie(&open.site, MFA_CALLBACK, &open.login_cookies, &MFA_BODY.replace(r#""mfa""#, "2")).await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn without_a_provider_or_a_license_clients_hear_what_they_know() {
    let open = Open::new(Setting::default()).await;
    for (code, text, status) in [
        (Code::NotFound, "failed to get current OpenID provider", 404),
        (Code::FailedPrecondition, "no valid license", 402),
        (Code::Internal, "failed to build OIDC client", 500),
    ] {
        open.answer(move |_| Answer::Reject(Rejection::new(code, text)));
        let reply = open.site.post(AUTH_INFO, r#"{"type":"enrollment"}"#).await;
        assert_eq!((reply.status, reply.header("set-cookie")), (status, None));
    }
}
