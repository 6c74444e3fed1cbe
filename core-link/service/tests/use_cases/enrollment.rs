//! Tokens and their sessions.

use postern_core_link::Handler as _;
use postern_proto::{link::Probe, proxy::core_request};

use crate::support::{
    Core, DAY, SESSION, START, assert_refused, device_info, key, new_device, request, start, started,
};

#[tokio::test]
async fn a_token_opens_a_session_and_says_what_a_client_needs() {
    let core = Core::with_joe().await;
    let token = core.invite("joe").await;
    let session = started(core.ask(start(&token)).await);
    assert_eq!(session.deadline_timestamp, START + SESSION);
    let user = session.user.unwrap();
    assert_eq!((user.login.as_str(), user.is_active, user.enrolled, user.device_names.len()), ("joe", true, false, 0));
    let instance = session.instance.unwrap();
    assert_eq!(instance.proxy_url, "https://vpn.example.org/");
    assert_eq!((instance.username.as_str(), instance.enterprise_enabled), ("joe", true));
    assert_eq!(session.admin.unwrap().email, "admin@example.org");
    assert!(session.settings.unwrap().vpn_setup_optional);
}

#[tokio::test]
async fn starting_again_within_the_session_gives_the_same_deadline() {
    let core = Core::with_joe().await;
    let token = core.invite("joe").await;
    let first = started(core.ask(start(&token)).await);
    core.wait(SESSION - 1);
    assert_eq!(started(core.ask(start(&token)).await).deadline_timestamp, first.deadline_timestamp);
}

#[tokio::test]
async fn after_its_session_a_token_is_worth_nothing() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    core.wait(SESSION);
    assert_refused(core.ask(start(&token)).await, 16, "invalid token");
    assert_refused(core.ask(new_device(&token, "laptop", &key(1))).await, 16, "Session expired");
}

#[tokio::test]
async fn a_token_lives_a_day_to_the_second() {
    let core = Core::with_joe().await;
    let token = core.invite("joe").await;
    core.wait(DAY - 1);
    core.ask(start(&token)).await.unwrap();

    let late = core.invite("joe").await;
    core.wait(DAY);
    assert_refused(core.ask(start(&late)).await, 16, "token expired");
}

#[tokio::test]
async fn a_session_opened_at_the_last_second_lasts_its_ten_minutes() {
    let core = Core::with_joe().await;
    let token = core.invite("joe").await;
    core.wait(DAY - 1);
    core.ask(start(&token)).await.unwrap();
    core.wait(SESSION - 1);
    core.ask(new_device(&token, "laptop", &key(1))).await.unwrap();
}

#[tokio::test]
async fn unknown_and_malformed_tokens_get_the_same_answer() {
    let core = Core::with_joe().await;
    for token in ["x".repeat(32), String::new(), "nope".to_owned(), "x".repeat(100_000)] {
        assert_refused(core.ask(start(&token)).await, 16, "invalid token");
    }
}

#[tokio::test]
async fn without_an_open_session_no_step_works() {
    let core = Core::with_joe().await;
    let token = core.invite("joe").await;
    assert_refused(core.ask(new_device(&token, "laptop", &key(1))).await, 16, "Session expired");
}

#[tokio::test]
async fn a_polling_token_opens_no_session_and_an_enrollment_token_does_not_poll() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    let device = crate::support::configured(core.ask(new_device(&token, "laptop", &key(1))).await);
    assert_refused(core.ask(start(&device.token.unwrap())).await, 16, "invalid token");
    assert_refused(core.ask(crate::support::poll(&token)).await, 7, "invalid token");
}

#[tokio::test]
async fn a_new_invitation_ends_an_unused_one_but_no_open_session() {
    let core = Core::with_joe().await;
    let unused = core.invite("joe").await;
    let used = core.session("joe").await;
    core.invite("joe").await;
    assert_refused(core.ask(start(&unused)).await, 16, "invalid token");
    core.ask(start(&used)).await.unwrap();
}

#[tokio::test]
async fn a_disabled_person_cannot_start() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    core.disable("joe").await;
    assert_refused(core.ask(start(&token)).await, 7, "user is disabled");
    assert_refused(core.ask(new_device(&token, "laptop", &key(1))).await, 3, "can't add device to disabled user");
}

#[tokio::test]
async fn fifty_starts_at_once_open_one_session() {
    let core = Core::with_joe().await;
    let token = core.invite("joe").await;
    let starts = futures::future::join_all((0..50).map(|_| core.ask(start(&token)))).await;
    let deadlines: Vec<i64> = starts.into_iter().map(|reply| started(reply).deadline_timestamp).collect();
    assert!(deadlines.iter().all(|deadline| *deadline == START + SESSION), "{deadlines:?}");
}

#[tokio::test]
async fn a_request_without_a_usable_address_has_no_effect() {
    let core = Core::with_joe().await;
    let token = core.invite("joe").await;
    let mut without = request(start(&token), None);
    without.device_info = None;
    assert_refused(core.dispatcher.handle(without).await, 13, "missing device info");
    let mut with_port = request(start(&token), None);
    with_port.device_info = Some(device_info("203.0.113.9:1234"));
    assert_refused(core.dispatcher.handle(with_port).await, 13, "invalid IP address: 203.0.113.9:1234");
    core.wait(60);
    assert_eq!(started(core.ask(start(&token)).await).deadline_timestamp, START + 60 + SESSION, "no session was open");
}

#[tokio::test]
async fn every_start_leaves_a_row_refused_or_not() {
    let core = Core::with_joe().await;
    let token = core.invite("joe").await;
    core.ask(start(&token)).await.unwrap();
    core.wait(SESSION);
    core.ask(start(&token)).await.unwrap_err();
    core.ask(start(&"x".repeat(32))).await.unwrap_err();
    assert_eq!(
        core.activity().await[2..],
        [
            "person_invited done joe",
            "enrollment_start done joe",
            "enrollment_start refused joe invalid token",
            "enrollment_start refused  invalid token",
        ]
    );
}

#[tokio::test]
async fn strangers_do_not_decide_how_fast_the_database_grows() {
    let core = Core::with_joe().await;
    let before = core.activity().await.len();
    for _ in 0..100 {
        core.ask(start(&"x".repeat(32))).await.unwrap_err();
    }
    assert_eq!(core.activity().await.len() - before, 5);
    core.wait(1);
    core.ask(start(&"x".repeat(32))).await.unwrap_err();
    let last = core.activity().await.pop().unwrap();
    assert_eq!(last, "enrollment_start refused  invalid token; 95 more like this were not written");
}

#[tokio::test]
async fn what_is_between_two_tunnels_is_not_served() {
    let core = Core::with_joe().await;
    let probe = core_request::Payload::Probe(Probe::default());
    assert_refused(core.ask(probe).await, 12, "this Core does not serve probe yet");
}
