//! Logins.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use postern_core::location::{self, LocationForm, MfaMode, NewLocation};
use postern_core_link::Handler as _;
use postern_proto::{
    client_types as client,
    proxy::{ClientMfaTokenValidationRequest, core_request, core_response},
};

use super::support::{AWAY, LOGIN, OFFICE, STEP, begin_login, begin_login_by, end_login, login_token, passed};
use crate::{
    authenticator,
    support::{AUTHORISATION, Core, PASSWORD, activate, assert_refused, cli, key, location_form, new_device, request},
};

async fn add_location(core: &Core, name: &str, range: &str, mfa_mode: MfaMode) -> i64 {
    let new = NewLocation::try_from(LocationForm { mfa_mode, ..location_form(name, &[range]) }).unwrap();
    let add = core.store.write(move |tx| Box::pin(async move { location::add(tx, &new, &cli()).await }));
    add.await.unwrap().id.as_i64()
}

fn is_valid(token: &str) -> core_request::Payload {
    core_request::Payload::ClientMfaTokenValidation(ClientMfaTokenValidationRequest { token: token.to_owned() })
}

#[tokio::test]
async fn a_right_code_gives_a_preshared_key_for_some_hours() {
    let (core, joe) = Core::with_member().await;
    let key = passed(core.show(&joe, &core.code(&joe.seed)).await);
    assert_eq!(STANDARD.decode(&key).unwrap().len(), 32);
    let until = core.count("SELECT authorised_until FROM authorisations WHERE device_id = 1").await;
    assert_eq!(until, core.unix() + i64::try_from(AUTHORISATION).unwrap());
    assert_eq!(core.activity().await.pop().unwrap(), "client_mfa_finish done joe totp; device 1 at Office");
    assert_eq!(core.count("SELECT COUNT(*) FROM mfa_sessions").await, 0);
}

#[tokio::test]
async fn the_next_login_replaces_key_and_time() {
    let (core, joe) = Core::with_member().await;
    let first = passed(core.show(&joe, &core.code(&joe.seed)).await);
    core.wait(STEP);
    let second = passed(core.show(&joe, &core.code(&joe.seed)).await);
    assert_ne!(first, second);
    assert_eq!(core.count("SELECT COUNT(*) FROM authorisations").await, 1);
}

#[tokio::test]
async fn a_code_typed_in_groups_is_a_code() {
    let (core, joe) = Core::with_member().await;
    let code = core.code(&joe.seed);
    passed(core.show(&joe, &format!(" {} {}\n", &code[..3], &code[3..])).await);
}

#[tokio::test]
async fn a_start_leaves_no_row() {
    let (core, joe) = Core::with_member().await;
    let before = core.activity().await;
    core.begin(&joe.key).await;
    assert_eq!(core.activity().await, before);
}

#[tokio::test]
async fn a_start_needs_a_location_with_mfa_and_a_known_device() {
    let (core, joe) = Core::with_member().await;
    let open = add_location(&core, "Open", "10.20.0.0/24", MfaMode::Disabled).await;
    for (location, pubkey, text) in [
        (9999, joe.key.as_str(), "location not found"),
        (0, &joe.key, "location not found"),
        (i64::MIN, &joe.key, "location not found"),
        (open, &joe.key, "MFA not enabled for location"),
        (OFFICE, &key(9), "device not found"),
        (OFFICE, "", "device not found"),
        (OFFICE, "' OR 1=1 --", "device not found"),
    ] {
        assert_refused(core.ask(begin_login(location, pubkey)).await, 3, text);
    }
}

#[tokio::test]
async fn a_start_needs_a_method_that_location_and_person_have() {
    let (core, joe) = Core::with_member().await;
    let external = add_location(&core, "External", "10.20.0.0/24", MfaMode::External).await;
    let not_available = "selected MFA method not available";
    let not_here = "selected MFA method not supported by location";
    let not_on_device = "Select MFA method not available for the device.";
    for (location, method, text) in [
        (OFFICE, 1, not_available),
        (OFFICE, 2, not_here),
        (OFFICE, 3, not_on_device),
        (OFFICE, 4, not_available),
        (OFFICE, 5, "invalid MFA method selected"),
        (OFFICE, -1, "invalid MFA method selected"),
        (external, 0, not_here),
        (external, 1, not_here),
        (external, 2, not_available),
    ] {
        assert_refused(core.ask(begin_login_by(method, location, &joe.key)).await, 3, text);
    }
    core.reset_mfa("joe").await;
    assert_refused(core.ask(begin_login(OFFICE, &joe.key)).await, 3, not_available);
}

#[tokio::test]
async fn before_activation_a_factor_opens_nothing() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    core.set_up(&token).await;
    core.ask(new_device(&token, "laptop", &key(1))).await.unwrap();
    assert_refused(core.ask(begin_login(OFFICE, &key(1))).await, 3, "selected MFA method not available");
    core.ask(activate(&token, PASSWORD)).await.unwrap();
    login_token(core.ask(begin_login(OFFICE, &key(1))).await);
}

#[tokio::test]
async fn a_device_without_access_a_host_and_a_disabled_person_are_not_let_in() {
    let (core, joe) = Core::with_member().await;
    core.add_location_without_mfa("Servers", &["10.20.0.0/24"]).await;
    core.add_host("web", "Servers", Some(key(50))).await.unwrap();
    assert_refused(core.ask(begin_login(OFFICE, &key(50))).await, 16, "unauthorized");
    core.execute("DELETE FROM device_addresses WHERE location_id = 1").await;
    assert_refused(core.ask(begin_login(OFFICE, &joe.key)).await, 16, "unauthorized");
    core.disable("joe").await;
    assert_refused(core.ask(begin_login(OFFICE, &joe.key)).await, 16, "unauthorized");
}

#[tokio::test]
async fn a_wrong_code_is_refused_and_the_login_goes_on() {
    let (core, joe) = Core::with_member().await;
    let token = core.begin(&joe.key).await;
    for wrong in
        [core.wrong_code(&joe.seed).as_str(), "12345", "1234567", "abcdef", "\u{661}\u{662}", &"9".repeat(10_000)]
    {
        core.unlock("joe").await;
        assert_refused(core.ask(end_login(&token, wrong)).await, 16, "unauthorized");
    }
    passed(core.ask(end_login(&token, &core.code(&joe.seed))).await);
}

#[tokio::test]
async fn without_a_code_nothing_is_tried() {
    let (core, joe) = Core::with_member().await;
    let token = core.begin(&joe.key).await;
    let without = client::ClientMfaFinishRequest { token: token.clone(), code: None, auth_pub_key: None };
    for request in [core_request::Payload::ClientMfaFinish(without), end_login(&token, ""), end_login(&token, "  ")] {
        assert_refused(core.ask(request).await, 3, "no code was shown");
    }
    assert_eq!(core.count("SELECT familiar_failures FROM authenticators").await, 0);
}

#[tokio::test]
async fn a_code_is_accepted_once_and_an_older_one_not_at_all() {
    let (core, joe) = Core::with_member().await;
    core.wait(STEP);
    let older = authenticator::code(&joe.seed, core.unix() - STEP);
    let code = core.code(&joe.seed);
    passed(core.show(&joe, &code).await);
    assert_refused(core.show(&joe, &code).await, 16, "unauthorized");
    assert_refused(core.show(&joe, &older).await, 16, "unauthorized");
    let last = core.activity().await.pop().unwrap();
    assert_eq!(last, "client_mfa_finish refused joe the code, or a newer one, was used before");
    core.wait(STEP);
    assert_refused(core.show(&joe, &code).await, 16, "unauthorized");
    passed(core.show(&joe, &core.code(&joe.seed)).await);
}

#[tokio::test]
async fn the_code_of_the_set_up_is_spent() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    let (seed, _) = core.set_up(&token).await;
    core.ask(new_device(&token, "laptop", &key(1))).await.unwrap();
    core.ask(activate(&token, PASSWORD)).await.unwrap();
    let login = core.begin(&key(1)).await;
    assert_refused(core.ask(end_login(&login, &core.code(&seed))).await, 16, "unauthorized");
    core.wait(STEP);
    passed(core.ask(end_login(&login, &core.code(&seed))).await);
}

#[tokio::test]
async fn a_clock_that_was_ahead_locks_nobody_out_for_ever() {
    let core = Core::with_joe().await;
    core.wait(100 * 24 * 3600);
    let joe = core.enroll("joe", 1).await;
    core.wait(-100 * 24 * 3600);
    assert_refused(core.show(&joe, &core.code(&joe.seed)).await, 16, "unauthorized");
    core.reset_mfa("joe").await;
    let token = core.session("joe").await;
    let (seed, _) = core.set_up(&token).await;
    core.wait(STEP);
    let login = core.begin(&joe.key).await;
    passed(core.ask(end_login(&login, &core.code(&seed))).await);
}

#[tokio::test]
async fn codes_and_logins_of_different_people_do_not_mix() {
    let (core, joe) = Core::with_member().await;
    core.add_person("ann").await;
    let ann = core.enroll("ann", 2).await;
    let login_of_joe = core.begin(&joe.key).await;
    assert_refused(core.ask(end_login(&login_of_joe, &core.code(&ann.seed))).await, 16, "unauthorized");
    assert_refused(core.ask(end_login(&login_of_joe, &ann.recovery_codes[0])).await, 16, "unauthorized");
    passed(core.ask(end_login(&login_of_joe, &core.code(&joe.seed))).await);
    assert_eq!(core.count("SELECT COUNT(*) FROM authorisations WHERE device_id = 1").await, 1);
    assert_eq!(core.count("SELECT COUNT(*) FROM authorisations").await, 1);
}

#[tokio::test]
async fn a_login_opens_its_own_device_and_location_only() {
    let (core, joe) = Core::with_member().await;
    let token = core.session("joe").await;
    core.ask(new_device(&token, "phone", &key(2))).await.unwrap();
    let branch = add_location(&core, "Branch", "10.20.0.0/24", MfaMode::Internal).await;
    let login = login_token(core.ask(begin_login(branch, &key(2))).await);
    passed(core.ask(end_login(&login, &core.code(&joe.seed))).await);
    let granted = core.count("SELECT 100 * device_id + location_id FROM authorisations").await;
    assert_eq!((granted, core.count("SELECT COUNT(*) FROM authorisations").await), (200 + branch, 1));
}

#[tokio::test]
async fn a_login_lasts_five_minutes_to_the_second() {
    let (core, joe) = Core::with_member().await;
    let token = core.begin(&joe.key).await;
    let late = core.begin(&joe.key).await;
    core.wait(LOGIN - 1);
    passed(core.ask(end_login(&token, &core.code(&joe.seed))).await);
    core.wait(1);
    assert_refused(core.ask(end_login(&late, &core.code(&joe.seed))).await, 3, "invalid token");
}

#[tokio::test]
async fn tokens_that_belong_to_no_open_login_are_refused() {
    let (core, joe) = Core::with_member().await;
    let token = core.begin(&joe.key).await;
    passed(core.ask(end_login(&token, &core.code(&joe.seed))).await);
    core.wait(STEP);
    let code = core.code(&joe.seed);
    for unknown in [token.as_str(), &"x".repeat(32), &joe.polling_token] {
        assert_refused(core.ask(end_login(unknown, &code)).await, 3, "login session not found");
    }
    for malformed in ["", "nope", "eyJ0eXAi.eyJpc3Mi.E2Bogr", &"x".repeat(100_000)] {
        assert_refused(core.ask(end_login(malformed, &code)).await, 3, "invalid token");
    }
}

#[tokio::test]
async fn a_new_start_ends_no_older_login() {
    let (core, joe) = Core::with_member().await;
    let token = core.begin(&joe.key).await;
    for _ in 0..100 {
        core.begin_from(AWAY, &joe.key).await;
    }
    assert_eq!(core.count("SELECT COUNT(*) FROM mfa_sessions").await, 17, "those from elsewhere push each other out");
    for _ in 0..15 {
        core.begin(&joe.key).await;
    }
    passed(core.ask(end_login(&token, &core.code(&joe.seed))).await);
}

#[tokio::test]
async fn a_client_can_ask_whether_its_login_is_open() {
    let (core, joe) = Core::with_member().await;
    let token = core.begin(&joe.key).await;
    for (shown, expected) in [(token.as_str(), true), (&"x".repeat(32), false)] {
        let core_response::Payload::ClientMfaTokenValidation(said) = core.ask(is_valid(shown)).await.unwrap() else {
            panic!("no answer")
        };
        assert_eq!(said.token_valid, expected);
    }
    assert_refused(core.ask(is_valid("bad")).await, 3, "invalid token");
    core.wait(LOGIN);
    assert_refused(core.ask(is_valid(&token)).await, 3, "invalid token");
}

#[tokio::test]
async fn a_finish_says_where_it_comes_from_or_is_not_looked_at() {
    let (core, joe) = Core::with_member().await;
    let mut nameless = request(begin_login(OFFICE, &joe.key), None);
    nameless.device_info = None;
    let token = login_token(core.dispatcher.handle(nameless).await);
    let mut nameless = request(end_login(&token, &core.code(&joe.seed)), None);
    nameless.device_info = None;
    assert_refused(core.dispatcher.handle(nameless).await, 13, "missing device info");
    passed(core.ask(end_login(&token, &core.code(&joe.seed))).await);
}
