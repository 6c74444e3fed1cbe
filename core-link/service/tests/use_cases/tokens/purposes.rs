//! Every kind of token, shown at every kind of request that takes one.

use std::collections::BTreeMap;

use postern_core::mail::MailUse;
use postern_core_link::Reply;
use postern_proto::{
    client_types::{ClientMfaFinishRequest, CodeMfaSetupFinishRequest, CodeMfaSetupStartRequest, MfaMethod},
    proxy::{ClientMfaTokenValidationRequest, core_request::Payload},
};

use crate::{
    authenticator::code,
    phones::support::{Phone, await_approval, register},
    support::{
        Core, PASSWORD, activate, assert_refused, configured, existing_device, key,
        mails::{reset, start_reset},
        new_device, poll, start,
    },
};

type Ask = (&'static str, fn(&str) -> Payload);

const ASKS: [Ask; 13] = [
    ("enrollment_start", start),
    ("new_device", |token| new_device(token, "tablet", &key(9))),
    ("existing_device", |token| existing_device(token, &key(1))),
    ("code_mfa_setup_start", setup_start),
    ("code_mfa_setup_finish", setup_finish),
    ("activate_user", |token| activate(token, PASSWORD)),
    ("instance_info", poll),
    ("client_mfa_finish", |token| login_finish(token, "000000")),
    ("client_mfa_token_validation", validation),
    ("password_reset_start", start_reset),
    ("password_reset", |token| reset(token, PASSWORD)),
    ("register_mobile_auth", |token| register(token, &Phone::new("").public_key(), &key(1))),
    ("await_remote_mfa_finish", await_approval),
];
const ENROLLMENT: [&str; 7] = [
    "enrollment_start",
    "new_device",
    "existing_device",
    "code_mfa_setup_start",
    "code_mfa_setup_finish",
    "activate_user",
    "register_mobile_auth",
];
const RESET: [&str; 2] = ["password_reset_start", "password_reset"];
const LOGIN: [&str; 3] = ["client_mfa_finish", "client_mfa_token_validation", "await_remote_mfa_finish"];

#[tokio::test]
async fn a_token_opens_nothing_but_its_own() {
    let scene = Scene::new().await;
    for (kind, token, own) in scene.tokens() {
        let unknown: String = token.chars().map(|_| 'x').collect();
        for (request, ask) in ASKS.iter().filter(|(request, _)| !own.contains(request)) {
            let before = contents(&scene.core).await;
            let with_unknown = told(scene.core.ask(ask(&unknown)).await);
            let with_foreign = told(scene.core.ask(ask(token)).await);
            assert_eq!(with_foreign, with_unknown, "a token of {kind} at {request}");
            assert_eq!(contents(&scene.core).await, before, "a token of {kind} at {request} left something");
        }
    }
}

#[tokio::test]
async fn the_token_of_a_host_sets_up_no_factor_and_activates_nobody() {
    let scene = Scene::new().await;
    let before = contents(&scene.core).await;
    for (request, ask) in ASKS.iter().filter(|(request, _)| ENROLLMENT[3..].contains(request)) {
        let (code, text) = crate::support::refused(scene.core.ask(ask(&scene.host)).await);
        assert_eq!((code, text.as_str()), (7, "invalid token"), "{request}");
    }
    assert_eq!(contents(&scene.core).await, before);
}

#[tokio::test]
async fn no_token_is_taken_for_a_code() {
    let scene = Scene::new().await;
    for shown in [&scene.person, &scene.host, &scene.polling, &scene.reset, &scene.login] {
        assert_refused(scene.core.ask(login_finish(&scene.login, shown)).await, 16, "unauthorized");
    }
    let recovery = &scene.recovery;
    scene.core.ask(login_finish(&scene.login, recovery)).await.unwrap();
}

#[tokio::test]
async fn each_token_does_what_it_is_for() {
    let scene = Scene::new().await;
    let core = &scene.core;
    core.ask(poll(&scene.polling)).await.unwrap();
    core.ask(validation(&scene.login)).await.unwrap();
    core.ask(login_finish(&scene.login, &code(&scene.seed, core.store.now().as_unix()))).await.unwrap();
    core.ask(start(&scene.person)).await.unwrap();
    core.ask(new_device(&scene.person, "tablet", &key(9))).await.unwrap();
    core.ask(start(&scene.host)).await.unwrap();
    core.ask(new_device(&scene.host, "", &key(10))).await.unwrap();
}

/// One person and one host with every kind of token.
struct Scene {
    core: Core,
    person: String,
    host: String,
    polling: String,
    reset: String,
    login: String,
    recovery: String,
    seed: String,
}

impl Scene {
    async fn new() -> Self {
        let core = Core::with_joe().await.with_mail(MailUse::On).await;
        core.add_location_without_mfa("Servers", &["10.30.0.0/24"]).await;
        let person = core.session("joe").await;
        let polling = configured(core.ask(new_device(&person, "laptop", &key(1))).await).token.unwrap();
        let (seed, recovery) = core.set_up_factor_with_codes(&person).await;
        core.ask(activate(&person, PASSWORD)).await.unwrap();
        let reset = core.reset_session("joe@example.org").await;
        let login = core.begin_login(&key(1)).await;
        let host = core.host_session("web-1").await;
        Self { recovery: recovery[0].clone(), core, person, host, polling, reset, login, seed }
    }

    /// What it is, and the requests that it is for.
    fn tokens(&self) -> [(&'static str, &str, &'static [&'static str]); 6] {
        [
            ("a person", &self.person, &ENROLLMENT),
            // Its refusals differ where it is known and means nothing; they have their own test.
            ("a host", &self.host, &ENROLLMENT),
            ("a device", &self.polling, &["instance_info"]),
            ("a reset link", &self.reset, &RESET),
            ("a login", &self.login, &LOGIN),
            ("a recovery code", &self.recovery, &[]),
        ]
    }
}

/// All tables but the two in which every request may leave something.
async fn contents(core: &Core) -> BTreeMap<String, Vec<String>> {
    core.contents(&["activity"]).await
}

/// Code and text of a refusal; a success in full.
fn told(reply: Reply) -> String {
    match reply {
        Ok(payload) => format!("{payload:?}"),
        Err(rejection) => format!("{rejection:?}"),
    }
}

fn setup_start(token: &str) -> Payload {
    let (method, token) = (MfaMethod::Totp.into(), token.to_owned());
    Payload::CodeMfaSetupStart(CodeMfaSetupStartRequest { method, token })
}

fn setup_finish(token: &str) -> Payload {
    let (code, token, method) = ("000000".to_owned(), token.to_owned(), MfaMethod::Totp.into());
    Payload::CodeMfaSetupFinish(CodeMfaSetupFinishRequest { code, token, method })
}

fn login_finish(token: &str, code: &str) -> Payload {
    let (token, code, auth_pub_key) = (token.to_owned(), Some(code.to_owned()), None);
    Payload::ClientMfaFinish(ClientMfaFinishRequest { token, code, auth_pub_key })
}

fn validation(token: &str) -> Payload {
    Payload::ClientMfaTokenValidation(ClientMfaTokenValidationRequest { token: token.to_owned() })
}
