//! A phone logs itself in.

use std::collections::HashSet;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::support::{BIOMETRIC, MOBILE_APPROVAL, Phone, approval, begun, register};
use crate::{
    mfa::support::{AWAY, LOGIN, OFFICE, begin_login, begin_login_by, end_login, login_token, passed},
    support::{Core, PASSWORD, activate, assert_refused, key, new_device, poll},
};

const NO_KEY: &str = "Select MFA method not available for the device.";

#[tokio::test]
async fn a_right_signature_gives_a_preshared_key() {
    let (core, _, phone) = Core::with_phone().await;
    let begun = core.begin_signed(BIOMETRIC, &phone.device_key).await;
    let preshared = passed(core.ask(end_login(&begun.token, &phone.sign(&begun.challenge))).await);
    assert_eq!(STANDARD.decode(&preshared).unwrap().len(), 32);
    assert_eq!(core.activity().await.pop().unwrap(), "client_mfa_finish done joe biometric; device 2 at Office");
    let again = core.ask(end_login(&begun.token, &phone.sign(&begun.challenge))).await;
    assert_refused(again, 3, "login session not found");
}

#[tokio::test]
async fn only_a_device_with_a_key_can_begin() {
    let (core, joe, phone) = Core::with_phone().await;
    assert_refused(core.ask(begin_login_by(BIOMETRIC, OFFICE, &joe.key)).await, 3, NO_KEY);
    core.begin_signed(BIOMETRIC, &phone.device_key).await;
    core.begin_signed(MOBILE_APPROVAL, &joe.key).await;
    core.add_person("eve").await;
    let eve = core.enroll("eve", 2).await;
    let nothing = "selected MFA method not available";
    assert_refused(core.ask(begin_login_by(MOBILE_APPROVAL, OFFICE, &eve.key)).await, 3, nothing);
}

#[tokio::test]
async fn a_login_that_counts_no_right_answer_leaves_no_counter() {
    let (core, joe, phone) = Core::with_phone().await;
    let counters = async || core.count("SELECT COUNT(*) FROM familiar_networks").await;
    let before = counters().await;
    core.ask_from(AWAY, poll(&joe.polling_token)).await.unwrap();
    core.ask_from(AWAY, begin_login_by(BIOMETRIC, OFFICE, &phone.device_key)).await.unwrap();
    assert_eq!(counters().await, before);
}

#[tokio::test]
async fn a_challenge_says_what_for_where_and_in_which_login() {
    let (core, joe, phone) = Core::with_phone().await;
    let mut seen = HashSet::new();
    for _ in 0..10 {
        let own = core.begin_signed(BIOMETRIC, &phone.device_key).await.challenge;
        let other = core.begin_signed(MOBILE_APPROVAL, &joe.key).await.challenge;
        for (challenge, purpose) in [(own, "login"), (other, "approval")] {
            let parts: Vec<_> = challenge.split('.').collect();
            assert_eq!(parts[0], format!("postern-{purpose}-v1"));
            assert!(parts[1].parse::<uuid::Uuid>().is_ok(), "{challenge}");
            assert_eq!(parts[2].len(), 43, "256 bits: {challenge}");
            assert!(seen.insert(challenge));
        }
    }
}

#[tokio::test]
async fn a_signature_is_worth_nothing_in_another_login() {
    let (core, joe, phone) = Core::with_phone().await;
    let first = core.begin_signed(BIOMETRIC, &phone.device_key).await;
    let second = core.begin_signed(BIOMETRIC, &phone.device_key).await;
    let approving = core.begin_signed(MOBILE_APPROVAL, &joe.key).await;
    let key = phone.public_key();
    let (own, other) = (phone.sign(&first.challenge), phone.sign(&approving.challenge));
    for swapped in
        [end_login(&second.token, &own), approval(&approving.token, &own, &key), end_login(&first.token, &other)]
    {
        assert_refused(core.ask(swapped).await, 16, "unauthorized");
    }
    passed(core.ask(end_login(&first.token, &own)).await);
    assert_refused(core.ask(end_login(&second.token, &own)).await, 16, "unauthorized");
}

#[tokio::test]
async fn each_method_takes_its_own_proof_only() {
    let (core, joe, phone) = Core::with_phone().await;
    let code = core.code(&joe.seed);
    for method in [BIOMETRIC, MOBILE_APPROVAL] {
        let begun = core.begin_signed(method, &phone.device_key).await;
        for proof in [&code, &joe.recovery_codes[0]] {
            let typed = core.ask(approval(&begun.token, proof, &phone.public_key())).await;
            assert_refused(typed, 16, "unauthorized");
            core.unlock("joe").await;
        }
    }
    let typed = login_token(core.ask(begin_login(OFFICE, &phone.device_key)).await);
    for challenge in ["", "anything"] {
        let signed = core.ask(approval(&typed, &phone.sign(challenge), &phone.public_key())).await;
        assert_refused(signed, 16, "unauthorized");
    }
    passed(core.ask(end_login(&typed, &code)).await);
    assert_eq!(core.count("SELECT COUNT(*) FROM recovery_codes WHERE used_at IS NOT NULL").await, 0);
}

#[tokio::test]
async fn what_is_no_signature_is_refused() {
    let (core, _, phone) = Core::with_phone().await;
    let begun = core.begin_signed(BIOMETRIC, &phone.device_key).await;
    assert_refused(core.ask(end_login(&begun.token, "")).await, 3, "no code was shown");
    let stranger = Phone::new(&phone.device_key);
    let right = STANDARD.decode(phone.sign(&begun.challenge)).unwrap();
    let mut flipped = right.clone();
    flipped[63] ^= 0x20;
    for wrong in [
        stranger.sign(&begun.challenge),
        STANDARD.encode(&right[..63]),
        STANDARD.encode([&right[..], &[0]].concat()),
        STANDARD.encode(flipped),
        STANDARD.encode([0; 64]),
        "ü".repeat(44),
        "A".repeat(100_000),
    ] {
        assert_refused(core.ask(end_login(&begun.token, &wrong)).await, 16, "unauthorized");
        core.unlock("joe").await;
    }
    passed(core.ask(end_login(&begun.token, &STANDARD.encode(right))).await);
}

#[tokio::test]
async fn wrong_signatures_count_and_never_keep_the_phone_out() {
    let (core, joe, phone) = Core::with_phone().await;
    let begun = begun(core.ask_from(AWAY, begin_login_by(BIOMETRIC, OFFICE, &phone.device_key)).await);
    let wrong = phone.sign("something else");
    for _ in 0..5 {
        assert_refused(core.ask_from(AWAY, end_login(&begun.token, &wrong)).await, 16, "unauthorized");
    }
    let throttled = core.ask_from(AWAY, end_login(&begun.token, &wrong)).await.unwrap_err();
    assert_eq!((throttled.code as i32, throttled.retry_after_seconds), (8, Some(30)));
    let code = core.code(&joe.seed);
    assert_eq!(core.show_from(AWAY, &joe, &code).await.unwrap_err().code as i32, 8, "the same counter");
    passed(core.ask_from(AWAY, end_login(&begun.token, &phone.sign(&begun.challenge))).await);
    passed(core.show_from(AWAY, &joe, &code).await);
}

#[tokio::test]
async fn somebody_with_no_app_is_throttled_as_well() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    core.ask(new_device(&token, "phone", &key(20))).await.unwrap();
    let phone = Phone::new(&key(20));
    core.ask(register(&token, &phone.public_key(), &phone.device_key)).await.unwrap();
    core.ask(activate(&token, PASSWORD)).await.unwrap();
    let begun = core.begin_signed(BIOMETRIC, &phone.device_key).await;
    let wrong = phone.sign("something else");
    for _ in 0..5 {
        assert_refused(core.ask(end_login(&begun.token, &wrong)).await, 16, "unauthorized");
    }
    assert_eq!(core.ask(end_login(&begun.token, &wrong)).await.unwrap_err().code as i32, 8);
    passed(core.ask(end_login(&begun.token, &phone.sign(&begun.challenge))).await);
    assert_eq!(core.count("SELECT COUNT(*) FROM authenticators WHERE sealed_seed IS NOT NULL").await, 0);
}

#[tokio::test]
async fn a_login_outlives_core_but_not_its_five_minutes() {
    let (core, _, phone) = Core::with_phone().await;
    let first = core.begin_signed(BIOMETRIC, &phone.device_key).await;
    let second = core.begin_signed(BIOMETRIC, &phone.device_key).await;
    let core = core.restart().await;
    passed(core.ask(end_login(&first.token, &phone.sign(&first.challenge))).await);
    core.wait(LOGIN);
    let late = core.ask(end_login(&second.token, &phone.sign(&second.challenge))).await;
    assert_refused(late, 3, "invalid token");
}
