//! The flows that go through a mail, an identity provider, a phone or a file, and every secret that they bring along.

use std::path::Path;

use base64::{Engine, engine::general_purpose::STANDARD};
use postern_tests::{
    Cluster, Outside,
    clients::{BIOMETRIC, Browser, EMAIL, Instance, LegacyDesktop, MOBILE_APPROVE, Mobile, NewDesktop, OIDC},
    enrollment::PASSWORD,
    openid_provider::{Account, CLIENT_SECRET},
    outside::SMTP_PASSWORD,
};
use rcgen::{CertificateParams, KeyPair};

use super::Secrets;

const NEW_PASSWORD: &str = "canary-new-Password-9f27!";
/// With this begins every JSON in base64: an identity token, a sealed state, a QR code.
const JSON_IN_BASE64: &str = "eyJ";

/// One of each.
pub(super) async fn take_all(cluster: &Cluster, outside: &Outside, secrets: &mut Secrets) {
    let login = STANDARD.encode(format!("\0postern\0{SMTP_PASSWORD}"));
    secrets.texts.extend([NEW_PASSWORD, JSON_IN_BASE64, SMTP_PASSWORD, CLIENT_SECRET, &login].map(str::to_owned));
    let instance = set_up_codes_by_mail(cluster, outside, secrets).await;
    choose_a_password(cluster, outside, secrets).await;
    sign_in_at_the_provider(cluster, (outside, &instance), secrets).await;
    log_in_by_phone(cluster, &instance, secrets).await;
    bring_a_certificate(cluster, secrets).await;
}

async fn set_up_codes_by_mail(cluster: &Cluster, outside: &Outside, secrets: &mut Secrets) -> Instance {
    let token = cluster.invite("eve").await.expect("a person is invited");
    let mut desktop = LegacyDesktop::new(&cluster.public_url());
    desktop.start(&token).await.expect("start");
    desktop.start_factor("Email").await.expect("code/start");
    let set_up = outside.code_for("eve@example.org", 0).await.expect("a mail");
    let recovery = desktop.finish_factor("Email", &set_up).await.expect("code/finish");
    let instance = desktop.create_device("laptop").await.expect("create_device");
    desktop.activate_user(PASSWORD).await.expect("activate_user");
    let office = instance.named("Office").expect("a location").clone();
    let mut logins = desktop.logins(&instance);
    let login = logins.start(&office, EMAIL).await.expect("client-mfa/start");
    let code = outside.code_for("eve@example.org", 1).await.expect("a mail");
    let key = logins.finish(&login, &code).await.expect("client-mfa/finish");
    secrets.bytes(&STANDARD.decode(key).expect("base64"));
    secrets.codes.extend([set_up, code]);
    secrets.texts.extend([token, login.token, instance.polling_token.clone()]);
    secrets.texts.extend(recovery);
    instance
}

async fn choose_a_password(cluster: &Cluster, outside: &Outside, secrets: &mut Secrets) {
    let mut browser = Browser::new(&cluster.public_url());
    browser.request_reset("eve@example.org").await.expect("password-reset/request");
    let token = outside.reset_token_for("eve@example.org").await.expect("a mail");
    browser.open("page /password-reset", &format!("/password-reset?token={token}")).await.expect("a page");
    browser.start_reset(&token).await.expect("password-reset/start");
    secrets.texts.extend(browser.cookie_values());
    browser.reset(&token, NEW_PASSWORD).await.expect("password-reset/reset");
    secrets.texts.push(token);
}

async fn sign_in_at_the_provider(cluster: &Cluster, (outside, instance): (&Outside, &Instance), secrets: &mut Secrets) {
    outside.provider.sign_in_as(Account::new("subject-of-eve", "eve@example.org"));
    let mut browser = Browser::new(&cluster.public_url());
    let provider = browser.openid_enrollment().await.expect("openid/auth_info");
    let callback = browser.sign_in(&provider).await.expect("the provider signs in");
    secrets.query(&provider, &["state", "nonce", "code_challenge"]);
    secrets.query(&callback, &["code", "state"]);
    secrets.texts.extend(browser.cookie_values());
    secrets.texts.push(browser.openid_callback(&callback).await.expect("openid/callback"));

    let partner = instance.named("Partner").expect("a location").clone();
    let mut desktop = NewDesktop::new(&cluster.public_url());
    let login = desktop.logins(instance).start(&partner, OIDC).await.expect("client-mfa/start");
    let provider = browser.openid_mfa(&login.token).await.expect("openid/auth_info");
    let callback = browser.sign_in(&provider).await.expect("the provider signs in");
    secrets.query(&callback, &["code", "state"]);
    secrets.texts.extend(browser.cookie_values());
    browser.open("page /openid/mfa/callback", &callback).await.expect("a page");
    browser.openid_mfa_callback(&callback).await.expect("openid/callback/mfa");
    let key = desktop.logins(instance).wait_for_browser(&login).await.expect("a key");
    secrets.bytes(&STANDARD.decode(key).expect("base64"));
    secrets.texts.push(login.token);
}

async fn log_in_by_phone(cluster: &Cluster, instance: &Instance, secrets: &mut Secrets) {
    let token = cluster.commands().token_for("eve").await.expect("one more token");
    let mut phone = Mobile::new(&cluster.public_url()).expect("a phone");
    phone.start(&token).await.expect("start");
    let own = phone.create_device("phone").await.expect("create_device");
    phone.register(&own).await.expect("register_mobile");
    let office = own.named("Office").expect("a location").clone();
    let login = phone.start_login(&own, &office, BIOMETRIC).await.expect("client-mfa/start");
    let signature = phone.sign(&login).expect("a challenge");
    phone.finish_login(&own, &login, &signature).await.expect("client-mfa/finish");
    secrets.texts.extend([token, own.polling_token.clone(), signature, login.token]);
    secrets.texts.extend(login.challenge);

    let mut desktop = NewDesktop::new(&cluster.public_url());
    let mut logins = desktop.logins(instance);
    let login = logins.start(&office, MOBILE_APPROVE).await.expect("client-mfa/start");
    let waiting = logins.wait_for_phone(&login).await.expect("a websocket");
    phone.approve(&instance.proxy_url, &logins.qr_code(&login).expect("a QR code")).await.expect("finish-remote");
    let key = logins.key_of(waiting).await.expect("a key");
    secrets.bytes(&STANDARD.decode(key).expect("base64"));
    secrets.texts.push(login.token);
    secrets.texts.extend(login.challenge);
}

async fn bring_a_certificate(cluster: &Cluster, secrets: &mut Secrets) {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("a certificate");
    let write = |name: &str, text: &str| {
        let path = cluster.folder().join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let (chain, private) = (write("web.pem", &certificate.pem()), write("web.key", &key.serialize_pem()));
    cluster.cli(&["certificate", "set", "--cert", &chain, "--key", &private]).await.expect("certificate set");
    secrets.bytes(key.serialized_der());
    secrets.pem(&key.serialize_pem());
    std::fs::remove_file(Path::new(&private)).expect("the file goes");
}

impl Secrets {
    /// Values of these names in a URL, as they stand there and decoded.
    fn query(&mut self, url: &str, names: &[&str]) {
        let query = url.split_once('?').expect("a query").1;
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            if names.contains(&name) {
                self.texts.push(value.to_owned());
                self.texts.push(value.replace("%2B", "+").replace("%2F", "/").replace("%3D", "="));
            }
        }
    }
}
