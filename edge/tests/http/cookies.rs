//! Sessions that somebody tries to forge, to plant or to prolong, and the attributes of every cookie that is set.

use postern_edge::{
    config::PublicUrl,
    testing::{Answer, FakeCore, ring},
};
use postern_proto::{
    client_types::EnrollmentStartResponse,
    proxy::{PasswordResetStartResponse, core_request::Payload as Asked, core_response::Payload},
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use crate::{
    answers::{right, start},
    harness::{Reply, Setting, Site},
    table::{Open, REGISTER_MOBILE, ROUTES, Route, Session, pair, with_cookie},
};

const NAMES: [&str; 4] = ["defguard_proxy", "defguard_proxy_password_reset", "nonce_proxy", "csrf_proxy"];
const START: &str = "/api/v1/enrollment/start";
const CREATE_DEVICE: &str = "/api/v1/enrollment/create_device";
const DEVICE: &str = r#"{"name":"laptop","pubkey":"k="}"#;
const LIES: &str = "x-forwarded-proto: http\r\nx-forwarded-host: evil.example\r\nforwarded: proto=http;host=evil.example\r\n\
                    x-forwarded-ssl: off\r\nfront-end-https: off\r\nx-url-scheme: http\r\n";
const TRUTHS: &str = "x-forwarded-proto: https\r\nforwarded: proto=https\r\nx-forwarded-ssl: on\r\n";

#[tokio::test]
async fn a_cookie_from_before_is_ignored_at_start_and_replaced() {
    let open = Open::new(Setting::default()).await;
    let planted = open.cookie.clone();
    for cookie in [&planted, "defguard_proxy=planted", "defguard_proxy=", &format!("a=b; {planted}; {planted}")] {
        let started = with_cookie(&open.site, START, cookie, r#"{"token":"mine"}"#).await;
        assert_eq!(started.status, 200);
        let Asked::EnrollmentStart(asked) = open.latest().await else { panic!("another kind of request") };
        assert_eq!(asked.token, "mine");
        let mine = pair(&started);
        assert_ne!(mine, planted);
        with_cookie(&open.site, CREATE_DEVICE, &mine, DEVICE).await;
        let Asked::NewDevice(asked) = open.latest().await else { panic!("another kind of request") };
        assert_eq!(asked.token.as_deref(), Some("mine"));
    }
}

#[tokio::test]
async fn each_session_has_a_value_of_its_own() {
    let open = Open::new(Setting::default()).await;
    let mut values = std::collections::HashSet::new();
    for number in 0..50 {
        let body = format!(r#"{{"token":"{number}"}}"#);
        assert!(values.insert(pair(&open.site.post(START, &body).await)), "{number}");
    }
}

#[tokio::test]
async fn the_same_token_with_a_later_deadline_is_another_value() {
    let (site, _tunnel) = Site::connected(Setting::default(), |request| {
        let later =
            EnrollmentStartResponse { deadline_timestamp: start().deadline_timestamp + request.id as i64, ..start() };
        Answer::Reply(Payload::EnrollmentStart(later))
    })
    .await;
    let first = pair(&site.post(START, r#"{"token":"t"}"#).await);
    assert_ne!(first, pair(&site.post(START, r#"{"token":"t"}"#).await));
}

#[tokio::test]
async fn beside_a_planted_cookie_no_session_is_open() {
    let open = Open::new(Setting::default()).await;
    let mine = pair(&open.site.post(START, r#"{"token":"mine"}"#).await);
    let before = open.tunnel.request_count();
    for cookie in [format!("{}; {mine}", open.cookie), format!("{mine}; {}", open.cookie)] {
        let reply = with_cookie(&open.site, CREATE_DEVICE, &cookie, DEVICE).await;
        reply.expect_error(401, "no_session", "Session not found");
    }
    assert_eq!(open.tunnel.request_count(), before);
}

#[tokio::test]
async fn every_cookie_that_is_set_has_its_attributes_whatever_a_proxy_claims() {
    for (public_url, secure) in [(PublicUrl::Https, "; Secure"), (PublicUrl::Http, "")] {
        for setting in [Setting::default(), Setting::behind_proxy()] {
            let open = Open::new(Setting { public_url, ..setting }).await;
            let mut set = Vec::new();
            for route in &ROUTES {
                for claims in ["", LIES, TRUTHS] {
                    let lines = format!("content-type: application/json\r\ncookie: {}\r\n{claims}", open.all_cookies());
                    let reply = open.site.post_with(route.path, &lines, &route.body()).await;
                    assert_eq!(reply.status, 200, "{}", route.path);
                    set.extend(reply.all("set-cookie").map(|cookie| (route.path, cookie.to_owned())));
                }
            }
            expect_cookies(&set, secure);
        }
    }
}

#[tokio::test]
async fn no_error_sets_a_cookie() {
    let open = Open::new(Setting::default()).await;
    open.answer(|_| Answer::Garbage);
    for route in &ROUTES {
        for body in ["{", "{}", &route.body()] {
            let reply = open.ask(route, body).await;
            assert!(reply.status >= 400);
            assert_eq!(reply.header("set-cookie"), None, "{} {body}", route.path);
        }
    }
}

#[tokio::test]
async fn a_cookie_stays_below_what_browsers_keep() {
    let (site, _tunnel) = Site::connected(Setting::default(), right).await;
    let started = site.post(START, &format!(r#"{{"token":"{}"}}"#, "x".repeat(32))).await;
    let cookie = started.header("set-cookie").unwrap();
    assert!(cookie.len() < 4096 / 8, "{} bytes", cookie.len());
}

#[tokio::test]
async fn without_its_cookies_no_route_of_a_session_reaches_core() {
    let open = Open::new(Setting::default()).await;
    let before = open.tunnel.request_count();
    for route in ROUTES.iter().filter(|route| route.session.is_some()) {
        expect_no_session(route, &open.ask_with(route, "", &route.body()).await);
        for session in [Session::Enrollment, Session::PasswordReset, Session::Login] {
            // Cookies of the other kinds, and the values of those under each name.
            let values = open.cookies(session).split("; ").map(|cookie| cookie.split_once('=').unwrap().1);
            for name in NAMES {
                let renamed: Vec<_> = values.clone().map(|value| format!("{name}={value}")).collect();
                let own = format!("{}; ", open.cookies(session));
                if Some(session) != route.session || !own.contains(&format!("{}; ", renamed[0])) {
                    expect_no_session(route, &open.ask_with(route, &renamed.join("; "), &route.body()).await);
                }
            }
        }
    }
    assert_eq!(open.tunnel.request_count(), before);
}

#[tokio::test]
async fn with_an_expired_cookie_every_route_of_a_session_is_401() {
    let open = Open::new(Setting::default()).await;
    open.answer(|request| match request.payload {
        Some(Asked::EnrollmentStart(_)) => {
            Answer::Reply(Payload::EnrollmentStart(EnrollmentStartResponse { deadline_timestamp: 1_000, ..start() }))
        }
        Some(Asked::PasswordResetStart(_)) => {
            Answer::Reply(Payload::PasswordResetStart(PasswordResetStartResponse { deadline_timestamp: 1_000 }))
        }
        _ => right(request),
    });
    let expired = pair(&open.site.post(START, r#"{"token":"old"}"#).await);
    let expired_reset = pair(&open.site.post("/api/v1/password-reset/start", r#"{"token":"old"}"#).await);
    let before = open.tunnel.request_count();
    for route in &ROUTES {
        let cookie = match route.session {
            Some(Session::Enrollment) => &expired,
            Some(Session::PasswordReset) => &expired_reset,
            Some(Session::Login) | None => continue,
        };
        open.ask_with(route, cookie, &route.body()).await.expect_error(401, "session_expired", "Session expired");
    }
    assert_eq!(open.tunnel.request_count(), before);
}

#[tokio::test]
async fn a_key_that_left_the_ring_opens_nothing_and_one_that_stays_does() {
    let core = FakeCore::new();
    let (old, new) = (*core.session_key(), [9; 64]);
    let open = Open::new(Setting::default()).await;
    let route = ROUTES.iter().find(|route| route.path == CREATE_DEVICE).unwrap();
    for (epoch, keys, status) in [(2, vec![&new, &old], 200), (3, vec![&new], 401), (4, vec![&old], 200)] {
        open.tunnel.push(Payload::SessionKeyRing(ring(epoch, &keys))).await;
        let held = || open.site.edge.keys.current().is_some_and(|ring| ring.len() == keys.len());
        let seals = || open.site.edge.keys.current().is_some_and(|ring| ring.primary().1.as_bytes() == keys[0]);
        postern_edge::testing::eventually("the ring is there", || held() && seals()).await;
        assert_eq!(open.ask(route, &route.body()).await.status, status, "epoch {epoch}");
    }
}

/// Forged ones, each at a random route of a session: 401, and Core hears of none.
#[tokio::test]
async fn no_forged_cookie_opens_a_session_or_breaks_anything() {
    let open = Open::new(Setting::default()).await;
    let before = open.tunnel.request_count();
    let seed = rand::random();
    let mut random = StdRng::seed_from_u64(seed);
    let in_session: Vec<_> = ROUTES.iter().filter(|route| route.session.is_some()).collect();
    for number in 0..1_500 {
        let route = in_session[random.random_range(0..in_session.len())];
        let cookies = open.cookies(route.session.unwrap());
        // Of two cookies one is enough.
        let (first, rest) = cookies.split_once("; ").unwrap_or((cookies, ""));
        let forged = format!("{}; {rest}", forged(first, &mut random));
        let reply = open.ask_with(route, &forged, &route.body()).await;
        let status = if route.path == REGISTER_MOBILE { 400 } else { 401 };
        assert_eq!(reply.status, status, "number {number} of seed {seed}: {forged}");
    }
    assert_eq!(open.tunnel.request_count(), before);
}

/// A change that no encoder would undo: the value differs.
fn forged(cookie: &str, random: &mut StdRng) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (name, value) = cookie.split_once('=').unwrap();
    let mut value = value.as_bytes().to_vec();
    let letter = ALPHABET[random.random_range(0..ALPHABET.len())];
    let at = random.random_range(0..value.len());
    match random.random_range(0..7) {
        0 => value[at] = if value[at] == letter { b'!' } else { letter },
        1 => value.truncate(at),
        2 => value.insert(at, b"%+/= ~\""[random.random_range(0..7)]),
        3 => value = (0..random.random_range(0..600)).map(|_| random.random_range(b'!'..=b'~')).collect(),
        4 => value.extend_from_within(at..),
        5 => value.reverse(),
        _ => return format!("another_name={}", std::str::from_utf8(&value).unwrap()),
    }
    // A separator would cut the rest off, and what is left may be the cookie itself.
    value.retain(|byte| *byte != b';');
    let value = String::from_utf8(value).unwrap();
    if value.trim().trim_matches('"') == cookie.split_once('=').unwrap().1 {
        format!("{name}=")
    } else {
        format!("{name}={value}")
    }
}

#[track_caller]
fn expect_no_session(route: &Route, reply: &Reply) {
    if route.path == REGISTER_MOBILE {
        reply.expect_error(400, "no_token", "No token present");
    } else {
        reply.expect_error(401, "no_session", "Session not found");
    }
}

/// Each of the six routes that set cookies was asked three times.
#[track_caller]
fn expect_cookies(set: &[(&str, String)], secure: &str) {
    let flags = format!("HttpOnly; SameSite=Strict{secure}");
    let until_2100 = format!("{flags}; Expires=Fri, 01 Jan 2100 00:00:00 GMT");
    let for_a_day = format!("{flags}; Max-Age=86400");
    let removed = format!("{flags}; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0");
    let [of_enrollment, of_reset] = ["/api/v1/enrollment", "/api/v1/password-reset"];
    let of_login = "/api/v1/openid/callback";
    let mut expected = Vec::new();
    for (by, name, path, rest) in [
        (START, "defguard_proxy", of_enrollment, &until_2100),
        ("/api/v1/enrollment/activate_user", "defguard_proxy", of_enrollment, &removed),
        ("/api/v1/password-reset/start", "defguard_proxy_password_reset", of_reset, &until_2100),
        ("/api/v1/password-reset/reset", "defguard_proxy_password_reset", of_reset, &removed),
        ("/api/v1/openid/auth_info", "nonce_proxy", of_login, &for_a_day),
        ("/api/v1/openid/auth_info", "csrf_proxy", of_login, &for_a_day),
        ("/api/v1/openid/callback", "nonce_proxy", of_login, &removed),
        ("/api/v1/openid/callback", "csrf_proxy", of_login, &removed),
        ("/api/v1/openid/callback/mfa", "nonce_proxy", of_login, &removed),
        ("/api/v1/openid/callback/mfa", "csrf_proxy", of_login, &removed),
    ] {
        expected.extend([(); 3].map(|()| (by, name.to_owned(), rest == &removed, format!(" Path={path}; {rest}"))));
    }
    let mut found: Vec<_> = set
        .iter()
        .map(|(by, cookie)| {
            let (pair, attributes) = cookie.split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            (*by, name.to_owned(), value.is_empty(), attributes.to_owned())
        })
        .collect();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
}
