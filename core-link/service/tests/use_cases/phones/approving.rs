//! A phone approves the login of another device.

use futures::future::join_all;
use postern_proto::proxy::core_request::Payload;

use super::support::{Begun, MOBILE_APPROVAL, Phone, approval, approved, delivered};
use crate::{
    mfa::support::{LOGIN, end_login},
    support::{Core, assert_refused, key, refused},
};

const AUTHORISED: &str = "SELECT COUNT(*) FROM authorisations";

#[tokio::test]
async fn an_approval_lets_the_other_device_in_at_once() {
    let (core, joe, phone) = Core::with_phone().await;
    let begun = core.begin_signed(MOBILE_APPROVAL, &joe.key).await;
    let shown_to_phone = approved(core.ask(phone.approve(&begun)).await, &begun);
    assert_eq!(core.count("SELECT device_id FROM authorisations").await, joe.device);
    let row = "client_mfa_finish done joe mobile approval; device 1 at Office; by device 2";
    assert_eq!(core.activity().await.pop().unwrap(), row);
    assert!(core.is_token_valid(&begun.token).await, "the device has not fetched it yet");
    assert_eq!(delivered(core.await_approval(&begun.token).await), shown_to_phone);
}

#[tokio::test]
async fn one_of_fifty_approvals_at_once_counts() {
    let (core, joe, phone) = Core::with_phone().await;
    let begun = core.begin_signed(MOBILE_APPROVAL, &joe.key).await;
    let replies = join_all((0..50).map(|_| core.ask(phone.approve(&begun)))).await;
    let (right, refusals): (Vec<_>, Vec<_>) = replies.into_iter().partition(Result::is_ok);
    assert_eq!(right.len(), 1);
    for refusal in refusals {
        // Or it was shed before anybody looked at it.
        let (code, text) = refused(refusal);
        assert!((code, text.as_str()) == (3, "login session not found") || code == 8, "{code} {text}");
    }
    assert_eq!(core.count(AUTHORISED).await, 1);
    let rows = core.activity().await;
    assert_eq!(rows.iter().filter(|row| row.contains("client_mfa_finish done")).count(), 1);
}

#[tokio::test]
async fn the_same_operation_gets_the_same_reply_and_has_one_effect() {
    let (core, joe, phone) = Core::with_phone().await;
    let begun = core.begin_signed(MOBILE_APPROVAL, &joe.key).await;
    let first = approved(core.ask_as("approve", phone.approve(&begun)).await, &begun);
    let again = approved(core.ask_as("approve", phone.approve(&begun)).await, &begun);
    assert_eq!(first, again);
    assert_eq!(delivered(core.await_approval(&begun.token).await), first);
}

#[tokio::test]
async fn only_a_phone_of_the_same_person_approves() {
    let (core, joe, phone) = Core::with_phone().await;
    core.add_person("eve").await;
    core.enroll("eve", 2).await;
    let eves = core.add_phone("eve", 21).await;
    let begun = core.begin_signed(MOBILE_APPROVAL, &joe.key).await;
    let signature = phone.sign(&begun.challenge);
    for (proof, why) in [
        (eves.approve(&begun), "another person's phone"),
        (Phone::new(&key(20)).approve(&begun), "a key that nobody registered"),
        (approval(&begun.token, &signature, &eves.public_key()), "the right signature under another key"),
        (approval(&begun.token, &eves.sign(&begun.challenge), &phone.public_key()), "another signature"),
        (approval(&begun.token, &signature, "nonsense"), "no key"),
        (approval(&begun.token, &signature, &key(0)), "a weak key"),
    ] {
        assert_eq!(refused(core.ask(proof).await), (16, "unauthorized".to_owned()), "{why}");
        core.unlock("joe").await;
    }
    assert_refused(core.ask(end_login(&begun.token, &signature)).await, 3, "no key of a phone was shown");
    assert_eq!(core.count(AUTHORISED).await, 0);
    core.ask(phone.approve(&begun)).await.unwrap();
}

#[tokio::test]
async fn a_phone_that_has_not_seen_the_login_cannot_approve_it() {
    let (core, joe, phone) = Core::with_phone().await;
    let shown = core.begin_signed(MOBILE_APPROVAL, &joe.key).await;
    let hidden = core.begin_signed(MOBILE_APPROVAL, &joe.key).await;
    let mixed = [
        Begun { token: hidden.token.clone(), challenge: shown.challenge.clone() },
        Begun { token: shown.token.clone(), challenge: hidden.challenge.clone() },
        Begun { token: hidden.token.clone(), challenge: String::new() },
    ];
    for begun in &mixed {
        assert_refused(core.ask(phone.approve(begun)).await, 16, "unauthorized");
    }
    assert_eq!(core.count(AUTHORISED).await, 0);
}

#[tokio::test]
async fn a_phone_that_was_removed_approves_nothing() {
    let (core, joe, phone) = Core::with_phone().await;
    let begun = core.begin_signed(MOBILE_APPROVAL, &joe.key).await;
    core.remove_device(2).await;
    assert_refused(core.ask(phone.approve(&begun)).await, 16, "unauthorized");
}

#[tokio::test]
async fn a_person_who_was_disabled_meanwhile_is_not_let_in() {
    let (core, joe, phone) = Core::with_phone().await;
    let [before, after] =
        [core.begin_signed(MOBILE_APPROVAL, &joe.key).await, core.begin_signed(MOBILE_APPROVAL, &joe.key).await];
    core.ask(phone.approve(&before)).await.unwrap();
    core.disable("joe").await;
    assert_refused(core.ask(phone.approve(&after)).await, 3, "login session not found");
    assert_refused(core.await_approval(&before.token).await, 3, "invalid token");
    assert_eq!(core.count(AUTHORISED).await, 0);
}

#[tokio::test]
async fn an_approval_that_comes_too_late_is_none() {
    let (core, joe, phone) = Core::with_phone().await;
    let [late, early] =
        [core.begin_signed(MOBILE_APPROVAL, &joe.key).await, core.begin_signed(MOBILE_APPROVAL, &joe.key).await];
    core.wait(LOGIN - 1);
    core.ask(phone.approve(&early)).await.unwrap();
    core.wait(1);
    assert_refused(core.ask(phone.approve(&late)).await, 3, "invalid token");
    assert_refused(core.await_approval(&early.token).await, 3, "invalid token");
}

#[tokio::test]
async fn nothing_of_an_approval_rests_in_the_clear() {
    let (core, joe, phone) = Core::with_phone().await;
    let begun = core.begin_signed(MOBILE_APPROVAL, &joe.key).await;
    let preshared = approved(core.ask(phone.approve(&begun)).await, &begun);
    let everything = core.everything().await.join("\n");
    for secret in [&preshared, &begun.token, &begun.challenge] {
        assert!(!everything.contains(secret.as_str()));
    }
    let Payload::ClientMfaFinish(shown) = phone.approve(&begun) else { unreachable!() };
    assert!(!format!("{shown:?}").contains(&begun.token));
}
