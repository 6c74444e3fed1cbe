//! What the Edge's pages call for a person in a browser.

use postern_tests::clients::{Browser, Finished, LegacyDesktop, OIDC, TOTP};
use serde_json::json;

use super::{Organisation, Person, steps, with_a_phone};

const NEW_PASSWORD: &str = "Another-9f27-long-one!";

#[tokio::test]
async fn a_forgotten_password_is_chosen_anew_and_the_link_works_once() {
    let site = Organisation::start().await;
    let joe = Person::enroll(&site.cluster, "joe").await;
    let mut browser = Browser::new(&site.cluster.public_url());
    browser.open("page /password", "/password").await.expect("a page");
    browser.request_reset("nobody@example.org").await.expect("the same answer for a stranger");
    browser.request_reset("joe@example.org").await.expect("password-reset/request");
    let token = site.outside.reset_token_for("joe@example.org").await.expect("a mail");
    browser.open("page /password-reset", &format!("/password-reset?token={token}")).await.expect("a page");
    browser.start_reset(&token).await.expect("password-reset/start");
    browser.reset(&token, NEW_PASSWORD).await.expect("password-reset/reset");

    let again = browser.refused("password-reset/start", &json!({ "token": token }), 401).await.expect("a refusal");
    assert_eq!(again, "invalid token");
    let strangers = site.outside.mails.mails().iter().filter(|mail| mail.to.concat().contains("nobody")).count();
    assert_eq!(strangers, 0, "a mail to nobody");
    // The second factor is as it was.
    let office = joe.instance.named("Office").expect("a location").clone();
    let mut desktop = joe.desktop;
    let mut logins = desktop.logins(&joe.instance);
    let login = logins.start(&office, TOTP).await.expect("client-mfa/start");
    logins.finish(&login, &joe.app.code()).await.expect("client-mfa/finish");
}

#[tokio::test]
async fn a_person_enrolls_with_the_token_that_the_provider_vouches_for() {
    let site = Organisation::start().await;
    site.cluster.invite("ann").await.expect("a person is invited");
    site.sign_in_as("ann");
    let mut browser = Browser::new(&site.cluster.public_url());
    browser.open("page /enrollment-start", "/enrollment-start").await.expect("a page");
    let provider = browser.openid_enrollment().await.expect("openid/auth_info");
    let callback = browser.sign_in(&provider).await.expect("the provider signs in");
    browser.open("page /openid/callback", &callback).await.expect("a page");
    let token = browser.openid_callback(&callback).await.expect("openid/callback");
    let mut desktop = LegacyDesktop::new(&site.cluster.public_url());
    desktop.start(&token).await.expect("the token starts an enrollment");
    desktop.create_device("laptop").await.expect("create_device");
    let order = [
        "page /enrollment-start",
        "openid/auth_info",
        "provider/authorize",
        "page /openid/callback",
        "openid/callback",
    ];
    assert_eq!(steps(&browser.caller), order);
}

#[tokio::test]
async fn a_desktop_and_a_phone_wait_for_the_browser() {
    let site = Organisation::start().await;
    let joe = Person::enroll(&site.cluster, "joe").await;
    let (mut phone, phones) = with_a_phone(&site.cluster, "joe").await;
    site.sign_in_as("joe");
    let partner = joe.instance.named("Partner").expect("a location").clone();
    assert_eq!(partner.mfa_mode, 3, "external");

    let mut desktop = LegacyDesktop::new(&site.cluster.public_url());
    let mut logins = desktop.logins(&joe.instance);
    let login = logins.start(&partner, OIDC).await.expect("client-mfa/start");
    assert_eq!(logins.ask(&login).await.expect("428"), Finished::NotYet);
    sign_in(&site, &login.token).await;
    logins.wait_for_browser(&login).await.expect("a key");

    let login = phone.start_login(&phones, &partner, OIDC).await.expect("client-mfa/start");
    sign_in(&site, &login.token).await;
    let key = phone.wait_for_browser(&phones, &login).await.expect("a key");
    let peers = site.cluster.cli_text(&["location", "peers", "Partner", "--format", "wg"]).await.expect("peers");
    assert!(peers.contains(&key), "{peers}");
}

#[tokio::test]
async fn another_browser_cannot_finish_what_this_one_began() {
    let site = Organisation::start().await;
    let joe = Person::enroll(&site.cluster, "joe").await;
    site.sign_in_as("joe");
    let partner = joe.instance.named("Partner").expect("a location").clone();
    let mut desktop = LegacyDesktop::new(&site.cluster.public_url());
    let login = desktop.logins(&joe.instance).start(&partner, OIDC).await.expect("client-mfa/start");
    let (mut mine, mut other) = (Browser::new(&site.cluster.public_url()), Browser::new(&site.cluster.public_url()));
    let provider = mine.openid_mfa(&login.token).await.expect("openid/auth_info");
    let callback = mine.sign_in(&provider).await.expect("the provider signs in");
    other.openid_mfa(&login.token).await.expect("openid/auth_info");
    assert!(other.openid_mfa_callback(&callback).await.is_err(), "with the cookies of another sign-in");
    assert_eq!(desktop.logins(&joe.instance).ask(&login).await.expect("428"), Finished::NotYet);
}

/// As `<proxy_url>openid/mfa?token=` and its callback do it.
async fn sign_in(site: &Organisation, login_token: &str) {
    let mut browser = Browser::new(&site.cluster.public_url());
    browser.open("page /openid/mfa", &format!("/openid/mfa?token={login_token}")).await.expect("a page");
    let provider = browser.openid_mfa(login_token).await.expect("openid/auth_info");
    let callback = browser.sign_in(&provider).await.expect("the provider signs in");
    browser.open("page /openid/mfa/callback", &callback).await.expect("a page");
    browser.openid_mfa_callback(&callback).await.expect("openid/callback/mfa");
}
