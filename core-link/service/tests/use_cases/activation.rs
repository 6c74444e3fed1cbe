//! Passwords at the end of enrollment.

use postern_core::instance::Instance;
use postern_proto::proxy::core_request;

use crate::{
    mfa::support::{begin_setup, end_setup, seed},
    support::{Core, PASSWORD, SESSION, activate, assert_refused, key, new_device, refused, start, started},
};

#[tokio::test]
async fn an_activated_person_is_enrolled() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    core.ask(activate(&token, PASSWORD)).await.unwrap();
    assert!(started(core.ask(start(&token)).await).user.unwrap().enrolled);
}

#[tokio::test]
async fn the_same_password_again_in_the_same_session_is_a_success() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    core.ask(activate(&token, PASSWORD)).await.unwrap();
    core.ask(activate(&token, PASSWORD)).await.unwrap();
    assert_refused(core.ask(activate(&token, "0ther!passw-rd")).await, 3, "user already activated");
}

#[tokio::test]
async fn another_session_cannot_activate_again_nor_guess_the_password() {
    let core = Core::with_joe().await;
    let first = core.session("joe").await;
    core.ask(activate(&first, PASSWORD)).await.unwrap();
    let second = core.session("joe").await;
    assert_refused(core.ask(activate(&second, PASSWORD)).await, 3, "user already activated");
}

#[tokio::test]
async fn a_session_is_no_place_to_guess_a_password() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    core.ask(activate(&token, PASSWORD)).await.unwrap();
    for _ in 0..5 {
        assert_refused(core.ask(activate(&token, "0ther!passw-rd")).await, 3, "user already activated");
    }
    assert_refused(core.ask(activate(&token, PASSWORD)).await, 3, "user already activated");
}

#[tokio::test]
async fn a_repeated_operation_does_not_count_a_wrong_password_twice() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    core.ask(activate(&token, PASSWORD)).await.unwrap();
    for _ in 0..8 {
        core.ask_as("one", activate(&token, "0ther!passw-rd")).await.unwrap_err();
    }
    core.ask(activate(&token, PASSWORD)).await.unwrap();
}

#[tokio::test]
async fn a_weak_password_changes_nothing() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    for weak in ["", "weak", "password", "joe@example.org", &"aB3$xY7!".repeat(40)] {
        assert_refused(core.ask(activate(&token, weak)).await, 3, "password not strong enough");
    }
    core.ask(activate(&token, PASSWORD)).await.unwrap();
}

#[tokio::test]
async fn what_a_person_is_known_by_makes_no_password() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    for weak in
        ["joe@example.org", "JoeDoe-2026!", "joe.joe.joe.joe", "Acme VPN 2026", "acmevpn!acmevpn!", "!Example.Org1"]
    {
        assert_refused(core.ask(activate(&token, weak)).await, 3, "password not strong enough");
    }
    core.ask(activate(&token, "joe keeps nine grey geese")).await.unwrap();
}

#[tokio::test]
async fn by_default_neither_factor_nor_device_is_asked_for() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    core.ask(activate(&token, PASSWORD)).await.unwrap();
}

#[tokio::test]
async fn a_required_device_comes_before_the_password() {
    let core = Core::with_joe().await.with_settings(|instance| instance.vpn_setup_optional = false).await;
    let token = core.session("joe").await;
    assert_refused(core.ask(activate(&token, PASSWORD)).await, 3, "add a device first");
    core.ask(new_device(&token, "laptop", &key(1))).await.unwrap();
    core.ask(activate(&token, PASSWORD)).await.unwrap();
}

#[tokio::test]
async fn a_required_factor_comes_before_the_password() {
    let core = Core::with_joe().await.with_settings(|instance| instance.mfa_required = true).await;
    let token = core.session("joe").await;
    assert_refused(core.ask(activate(&token, PASSWORD)).await, 3, "set up a second factor first");
    let begun = seed(core.ask(begin_setup(&token)).await);
    assert_refused(core.ask(activate(&token, PASSWORD)).await, 3, "set up a second factor first");
    let code = core.code(&begun);
    core.ask(end_setup(&token, &code)).await.unwrap();
    core.ask(activate(&token, PASSWORD)).await.unwrap();
    core.ask(activate(&token, PASSWORD)).await.unwrap();
}

#[tokio::test]
async fn all_required_steps_are_asked_for_and_a_refusal_leaves_a_row() {
    let strict = |instance: &mut Instance| (instance.mfa_required, instance.vpn_setup_optional) = (true, false);
    let core = Core::with_joe().await.with_settings(strict).await;
    let token = core.session("joe").await;
    core.set_up_factor(&token).await;
    assert_refused(core.ask(activate(&token, PASSWORD)).await, 3, "add a device first");
    assert_eq!(core.activity().await.last().unwrap(), "activate_user refused joe add a device first");
}

#[tokio::test]
async fn a_hash_of_weaker_parameters_is_replaced_when_the_password_is_shown_again() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    core.ask(activate(&token, PASSWORD)).await.unwrap();
    // Argon2id of PASSWORD as an older version might have stored it: 8 MiB and one pass.
    core.execute(
        "UPDATE people SET password_hash =
         '$argon2id$v=19$m=8192,t=1,p=1$H+Y+LvN5kWJPPuF46PW1Eg$dXL6lIc9ozWz+WXBQRDg/b1IzEdBFPv4NTTqe5enhVg'",
    )
    .await;
    core.ask(activate(&token, "0ther!passw-rd")).await.unwrap_err();
    assert_eq!(core.count("SELECT password_hash LIKE '$argon2id$v=19$m=8192,t=1,p=1$%' FROM people").await, 1);
    core.ask(activate(&token, PASSWORD)).await.unwrap();
    assert_eq!(core.count("SELECT password_hash LIKE '$argon2id$v=19$m=19456,t=2,p=1$%' FROM people").await, 1);
    core.ask(activate(&token, PASSWORD)).await.unwrap();
}

#[tokio::test]
async fn a_phone_number_is_checked_and_kept() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    let with_phone = |phone: &str| {
        let core_request::Payload::ActivateUser(mut body) = activate(&token, PASSWORD) else { unreachable!() };
        body.phone_number = Some(phone.to_owned());
        core_request::Payload::ActivateUser(body)
    };
    assert_refused(core.ask(with_phone("call me")).await, 3, "invalid phone number");
    core.ask(with_phone("+48123456789")).await.unwrap();
    let user = started(core.ask(start(&token)).await).user.unwrap();
    assert_eq!(user.phone_number.as_deref(), Some("+48123456789"));
}

#[tokio::test]
async fn nobody_is_activated_without_a_session() {
    let core = Core::with_joe().await;
    let token = core.invite("joe").await;
    assert_refused(core.ask(activate(&token, PASSWORD)).await, 16, "Session expired");
    core.ask(start(&token)).await.unwrap();
    core.wait(SESSION);
    assert_refused(core.ask(activate(&token, PASSWORD)).await, 16, "Session expired");
    let core_request::Payload::ActivateUser(mut body) = activate(&token, PASSWORD) else { unreachable!() };
    body.token = None;
    let missing = core.ask(core_request::Payload::ActivateUser(body)).await;
    assert_refused(missing, 16, "Missing authorization header");
}

#[tokio::test]
async fn a_disabled_person_is_not_activated() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    core.disable("joe").await;
    assert_refused(core.ask(activate(&token, PASSWORD)).await, 3, "user is disabled");
}

#[tokio::test]
async fn of_activations_at_once_one_password_wins() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    let passwords = [PASSWORD, "0ther!passw-rd", "th1rd!passw-rd"];
    let replies = futures::future::join_all(passwords.map(|password| core.ask(activate(&token, password)))).await;
    let winners: Vec<&str> =
        passwords.iter().zip(&replies).filter(|(_, reply)| reply.is_ok()).map(|(password, _)| *password).collect();
    let [winner] = winners[..] else { panic!("{} passwords won", winners.len()) };
    for reply in replies.into_iter().filter(Result::is_err) {
        let (code, text) = refused(reply);
        // The loser asked before the winner had committed, or after.
        assert!((code, text.as_str()) == (14, "try again") || (code, text.as_str()) == (3, "user already activated"));
    }
    core.ask(activate(&token, winner)).await.unwrap();
}

#[tokio::test]
async fn activations_and_refused_passwords_leave_rows() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    core.ask(activate(&token, "weak")).await.unwrap_err();
    core.ask(activate(&token, PASSWORD)).await.unwrap();
    core.ask(activate(&token, PASSWORD)).await.unwrap();
    core.ask(activate(&token, "0ther!passw-rd")).await.unwrap_err();
    assert_eq!(
        core.activity().await[4..],
        [
            "activate_user refused joe password not strong enough",
            "activate_user done joe",
            "activate_user done joe repeated",
            "activate_user refused joe user already activated with another password",
        ]
    );
}
