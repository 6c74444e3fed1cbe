//! A new password by mail.

use postern_proto::{
    proxy::{PasswordResetInitializeRequest, PasswordResetStartRequest, core_request::Payload},
    rejection::Code,
};
use postern_tests::browser::Sent;
use serde_json::json;

use crate::{
    answers::{refusing, right},
    site::Site,
};

const PASSWORD: &str = "correct horse battery staple";

#[tokio::test]
async fn asking_says_the_same_whoever_it_is() {
    let site = Site::start(right).await;
    site.open("/password").await;
    site.browser.type_into("#email", " joe@example.org ").await.expect("type");
    site.browser.click("#request-form button").await.expect("click");
    let said = site.browser.shown("#sent").await.expect("an answer");
    assert!(said.contains("If there is an account with that address"), "{said}");
    assert_eq!(site.calls().await, [post(&site, "password-reset/request", json!({ "email": "joe@example.org" }))]);
    let email = "joe@example.org".to_owned();
    assert_eq!(site.asked().await, [Payload::PasswordResetInit(PasswordResetInitializeRequest { email })]);
    site.no_complaints().await;
}

#[tokio::test]
async fn the_link_of_a_mail_opens_a_form_and_the_form_sets_the_password() {
    let site = Site::start(right).await;
    site.open("/password-reset?token=reset-token").await;
    site.browser.shown("#choose").await.expect("the form");
    assert_eq!(site.browser.location().await.expect("an address"), format!("{}/password-reset", site.origin));
    site.browser.type_into("#password", PASSWORD).await.expect("type");
    site.browser.type_into("#repeated", PASSWORD).await.expect("type");
    site.browser.type_into("#repeated", "\u{e007}").await.expect("Enter");
    site.browser.shown("#done").await.expect("the password is set");

    let calls = [
        post(&site, "password-reset/start", json!({ "token": "reset-token" })),
        post(&site, "password-reset/reset", json!({ "password": PASSWORD })),
    ];
    assert_eq!(site.calls().await, calls);
    let asked = site.asked().await;
    let token = "reset-token".to_owned();
    assert_eq!(asked[0], Payload::PasswordResetStart(PasswordResetStartRequest { token }));
    let Payload::PasswordReset(reset) = &asked[1] else { panic!("{asked:?}") };
    assert_eq!((reset.password.as_str(), reset.token.as_deref()), (PASSWORD, Some("reset-token")));
    site.no_complaints().await;
}

#[tokio::test]
async fn two_passwords_that_differ_are_never_sent() {
    let site = Site::start(right).await;
    site.open("/password-reset?token=reset-token").await;
    site.browser.shown("#choose").await.expect("the form");
    site.browser.type_into("#password", PASSWORD).await.expect("type");
    site.browser.type_into("#repeated", "something else").await.expect("type");
    site.browser.click("#reset-form button").await.expect("click");
    assert_eq!(site.browser.shown("#problem").await.expect("a word"), "The two passwords are not the same.");
    assert_eq!(site.calls().await.len(), 1);
    let focused = site.browser.run("return document.activeElement.id").await.expect("the focus");
    assert_eq!(focused, "problem", "a screen reader is told");
}

#[tokio::test]
async fn a_refusal_is_shown_with_the_name_of_the_request() {
    let site = Site::start(refusing(Code::Unauthenticated, "token expired <b>now</b>")).await;
    site.open("/password-reset?token=old").await;
    let said = site.browser.shown("#problem").await.expect("a word");
    assert!(said.starts_with("Token expired <b>now</b>\nReference for support: "), "{said}");
    assert!(site.browser.is_shown("#missing").await.expect("a section"));
    assert!(!site.browser.is_shown("#choose").await.expect("a section"));
}

#[tokio::test]
async fn without_a_core_the_page_says_so_and_tries_again_when_asked() {
    let mut site = Site::without_core().await;
    site.open("/password-reset?token=reset-token").await;
    let said = site.browser.shown("#problem").await.expect("a word");
    assert!(said.starts_with("The service is not available right now."), "{said}");
    site.connect(right).await;
    site.browser.click("#problem button").await.expect("Try again");
    site.browser.shown("#choose").await.expect("the form");
    assert!(!site.browser.is_shown("#problem").await.expect("the word is gone"));
}

fn post(site: &Site, path: &str, body: serde_json::Value) -> Sent {
    let url = format!("{}/api/v1/{path}", site.origin);
    Sent { method: "POST".to_owned(), url, body: Some(body.to_string()) }
}
