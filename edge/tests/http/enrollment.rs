//! A person's way through enrollment, and the sessions that do not open.

use postern_edge::{config::PublicUrl, testing::FakeTunnel};
use postern_proto::proxy::core_request::Payload;
use serde_json::json;

use crate::{
    answers::{device_config_json, right, start_json},
    harness::{Reply, Setting, Site},
};

const START: &str = "/api/v1/enrollment/start";
const CREATE_DEVICE: &str = "/api/v1/enrollment/create_device";
const ACTIVATE: &str = "/api/v1/enrollment/activate_user";
const DEVICE: &str = r#"{"name":"laptop","pubkey":"k=","token":null}"#;

#[tokio::test]
async fn a_person_enrolls_with_the_cookie_of_start() {
    let (site, tunnel) = Site::connected(Setting::default(), right).await;
    let started = site.post(START, r#"{"token":"enroll-me"}"#).await;
    assert_eq!((started.status, started.json()), (200, start_json()));
    let cookie = pair(&started);

    let created = with_cookie(&site, CREATE_DEVICE, &cookie, DEVICE).await;
    assert_eq!((created.status, created.json()), (200, device_config_json(Some("polling"))));

    let activated = with_cookie(&site, ACTIVATE, &cookie, r#"{"password":"s3cret"}"#).await;
    assert_eq!((activated.status, activated.json()), (200, json!({})));
    let removal = activated.header("set-cookie").unwrap();
    assert!(removal.starts_with("defguard_proxy=; Path=/api/v1/enrollment; "), "{removal}");
    assert_eq!(tokens(&tunnel).await, ["enroll-me", "enroll-me", "enroll-me"]);
}

#[tokio::test]
async fn core_gets_the_fields_of_the_body_and_the_token_of_the_session() {
    let (site, tunnel) = Site::connected(Setting::default(), right).await;
    let cookie = pair(&site.post(START, r#"{"token":"t"}"#).await);
    with_cookie(&site, ACTIVATE, &cookie, r#"{"password":"s3cret","phone_number":"+1","token":"mine"}"#).await;
    let request = tunnel.requests(2).await.remove(1);
    let Some(Payload::ActivateUser(request)) = request.payload else { panic!("{:?}", request.payload) };
    assert_eq!((request.password.as_str(), request.phone_number.as_deref()), ("s3cret", Some("+1")));
    assert_eq!(request.token.as_deref(), Some("t"));
}

#[tokio::test]
async fn exactly_one_session_cookie_is_set_and_it_is_the_same_for_the_same_reply() {
    let (site, _tunnel) = Site::connected(Setting::default(), right).await;
    let replies = [site.post(START, r#"{"token":"t"}"#).await, site.post(START, r#"{"token":"t"}"#).await];
    let cookies: Vec<_> = replies.iter().flat_map(|reply| reply.all("set-cookie")).collect();
    assert_eq!(cookies.len(), 2);
    assert_eq!(cookies[0], cookies[1]);
    let (_, attributes) = cookies[0].split_once(';').unwrap();
    let expected = " Path=/api/v1/enrollment; HttpOnly; SameSite=Strict; Secure; Expires=Fri, 01 Jan 2100 00:00:00 GMT";
    assert_eq!(attributes, expected);
}

#[tokio::test]
async fn cookies_are_not_secure_where_people_come_by_http() {
    let setting = Setting { public_url: PublicUrl::Http, ..Setting::default() };
    let (site, _tunnel) = Site::connected(setting, right).await;
    let started = site.post(START, r#"{"token":"t"}"#).await;
    assert!(!started.header("set-cookie").unwrap().contains("Secure"));
}

#[tokio::test]
async fn a_whole_set_cookie_line_sent_back_opens_the_session() {
    let (site, _tunnel) = Site::connected(Setting::default(), right).await;
    let started = site.post(START, r#"{"token":"t"}"#).await;
    let created = with_cookie(&site, CREATE_DEVICE, started.header("set-cookie").unwrap(), DEVICE).await;
    assert_eq!(created.status, 200);
}

#[tokio::test]
async fn headers_with_underscores_harm_nothing() {
    let (site, tunnel) = Site::connected(Setting::default(), right).await;
    let lines = "content-type: application/json\r\nCLIENT_VERSION_HEADER: 1.6.0\r\nCLIENT_PLATFORM_HEADER: x\r\n";
    assert_eq!(site.post_with(START, lines, r#"{"token":"t"}"#).await.status, 200);
    let info = tunnel.requests(1).await.remove(0).device_info.unwrap();
    assert_eq!((info.version, info.platform), (None, None));
}

#[tokio::test]
async fn a_cookie_that_does_not_open_is_401_and_never_reaches_core() {
    let (site, tunnel) = Site::connected(Setting::default(), right).await;
    let good = pair(&site.post(START, r#"{"token":"t"}"#).await);
    let last = good.chars().last().unwrap();
    let tampered = format!("{}{}", &good[..good.len() - 1], if last == 'A' { 'B' } else { 'A' });
    let truncated = &good[..good.len() - 4];
    let other_flow = good.replace("defguard_proxy=", "defguard_proxy_password_reset=");
    for cookie in ["", "defguard_proxy=", "defguard_proxy=x", &tampered, truncated, &other_flow] {
        for (path, body) in [(CREATE_DEVICE, DEVICE), (ACTIVATE, r#"{"password":"p"}"#)] {
            with_cookie(&site, path, cookie, body).await.expect_error(401, "no_session", "Session not found");
        }
    }
    assert_eq!(tunnel.request_count(), 1);
}

fn pair(started: &Reply) -> String {
    started.header("set-cookie").unwrap().split_once(';').unwrap().0.to_owned()
}

async fn with_cookie(site: &Site, path: &str, cookie: &str, body: &str) -> Reply {
    site.post_with(path, &format!("content-type: application/json\r\ncookie: {cookie}\r\n"), body).await
}

async fn tokens(tunnel: &FakeTunnel) -> Vec<String> {
    let token = |payload| match payload {
        Payload::EnrollmentStart(request) => request.token,
        Payload::NewDevice(request) => request.token.unwrap(),
        Payload::ActivateUser(request) => request.token.unwrap(),
        other => panic!("nobody asked for {}", other.kind()),
    };
    tunnel.requests(3).await.into_iter().map(|request| token(request.payload.unwrap())).collect()
}
