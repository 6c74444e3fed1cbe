//! The provider as the second factor of a login.

use postern_core_link::Reply;
use postern_proto::{
    client_types as client,
    proxy::{core_request::Payload, core_response},
};
use postern_tests::{
    OpenIdProvider,
    openid_provider::{Account, Misbehaviour},
};

use crate::support::{Core, assert_refused, auth_info, key, start};

const PENDING: &str = "OIDC authentication not completed yet";

/// Joe with a device in a location whose second factor is the provider.
async fn core_with_device(provider: &OpenIdProvider) -> Core {
    let core = Core::with_joe(provider).await;
    core.add_location().await;
    enroll(&core, "joe", 1).await;
    core
}

async fn enroll(core: &Core, login: &'static str, number: u8) {
    let invite = core.store.write(move |tx| {
        Box::pin(async move { postern_core::enrollment::invite(tx, login, &crate::support::cli()).await })
    });
    let token = invite.await.unwrap().token.expose().to_owned();
    core.ask(start(&token)).await.unwrap();
    let name = format!("laptop of {login}");
    let device = client::NewDevice { name, pubkey: key(number), token: Some(token.clone()) };
    core.ask(Payload::NewDevice(device)).await.unwrap();
    let password = "Str0ng!passw-rd".to_owned();
    let activate = client::ActivateUserRequest { phone_number: None, password, token: Some(token) };
    core.ask(Payload::ActivateUser(activate)).await.unwrap();
}

async fn try_begin(core: &Core, number: u8, method: client::MfaMethod) -> Reply {
    let (pubkey, method) = (key(number), method.into());
    core.ask(Payload::ClientMfaStart(client::ClientMfaStartRequest {
        location_id: 1,
        pubkey,
        method,
        posture_data: None,
    }))
    .await
}

/// The token of a login under way.
async fn begin(core: &Core, number: u8) -> String {
    let begun = try_begin(core, number, client::MfaMethod::Oidc).await.unwrap();
    let core_response::Payload::ClientMfaStart(begun) = begun else { panic!("not a login") };
    begun.token
}

fn finish(token: &str) -> Payload {
    let token = token.to_owned();
    Payload::ClientMfaFinish(client::ClientMfaFinishRequest { token, code: None, auth_pub_key: None })
}

fn assert_passed(reply: Reply) {
    let core_response::Payload::ClientMfaFinish(passed) = reply.unwrap() else { panic!("not a passed login") };
    assert_eq!(passed.preshared_key.len(), 44);
    assert_eq!(passed.token, None);
}

#[tokio::test]
async fn a_login_is_passed_in_the_browser_and_ended_by_its_client() {
    let provider = OpenIdProvider::start().await.unwrap();
    let core = core_with_device(&provider).await;
    let login = begin(&core, 1).await;
    let visit = core.visit_for(&login, &provider).await;
    assert_eq!(visit.returned.address, "https://vpn.example.org/openid/mfa/callback");
    assert_refused(core.ask(finish(&login)).await, 9, PENDING);
    let passed = core.ask(visit.authenticate()).await.unwrap();
    assert!(matches!(passed, core_response::Payload::Empty(())));
    assert_refused(core.ask(visit.authenticate()).await, 3, "login session already completed");
    assert_passed(core.ask(finish(&login)).await);
    assert_refused(core.ask(finish(&login)).await, 3, "login session not found");
}

#[tokio::test]
async fn asking_whether_it_is_passed_writes_nothing() {
    let provider = OpenIdProvider::start().await.unwrap();
    let core = core_with_device(&provider).await;
    let login = begin(&core, 1).await;
    let rows = core.activity().await;
    for _ in 0..60 {
        assert_refused(core.ask(finish(&login)).await, 9, PENDING);
    }
    assert_eq!(core.activity().await, rows);
}

#[tokio::test]
async fn a_login_goes_on_after_a_restart_at_each_step() {
    let provider = OpenIdProvider::start().await.unwrap();
    let core = core_with_device(&provider).await;
    let login = begin(&core, 1).await;
    let core = core.restart(&provider).await;
    let visit = core.visit_for(&login, &provider).await;
    let core = core.restart(&provider).await;
    core.ask(visit.authenticate()).await.unwrap();
    let core = core.restart(&provider).await;
    assert_passed(core.ask(finish(&login)).await);
}

#[tokio::test]
async fn somebody_else_does_not_pass_it_and_ends_it() {
    let provider = OpenIdProvider::start().await.unwrap();
    let core = core_with_device(&provider).await;
    core.add_person("ada").await;
    for account in [Account::new("subject-of-ada", "ada@example.org"), Account::new("s", "nobody@example.org")] {
        let login = begin(&core, 1).await;
        provider.sign_in_as(account);
        let visit = core.visit_for(&login, &provider).await;
        assert_refused(core.ask(visit.authenticate()).await, 16, "unauthorized");
        assert_refused(core.ask(finish(&login)).await, 3, "login session not found");
    }
    let rows = core.activity().await;
    assert!(!rows.iter().any(|row| row.contains("linked")), "{rows:?}");
    assert_eq!(rows.iter().filter(|row| row.ends_with("refused joe somebody else signed in")).count(), 2, "{rows:?}");
}

#[tokio::test]
async fn a_token_that_proves_nothing_ends_the_login() {
    let provider = OpenIdProvider::start().await.unwrap();
    let core = core_with_device(&provider).await;
    let login = begin(&core, 1).await;
    provider.misbehave(Misbehaviour::WrongNonce);
    let visit = core.visit_for(&login, &provider).await;
    assert_refused(core.ask(visit.authenticate()).await, 16, "unauthorized");
    assert_refused(core.ask(finish(&login)).await, 3, "login session not found");
}

#[tokio::test]
async fn a_provider_that_is_down_leaves_the_login_as_it_is() {
    let provider = OpenIdProvider::start().await.unwrap();
    let core = core_with_device(&provider).await;
    let login = begin(&core, 1).await;
    let visit = core.visit_for(&login, &provider).await;
    provider.misbehave(Misbehaviour::TokenFails);
    let text = "the OpenID provider cannot be reached; try again";
    assert_refused(core.ask(visit.authenticate()).await, 14, text);
    provider.behave();
    core.ask(visit.authenticate()).await.unwrap();
    assert_passed(core.ask(finish(&login)).await);
}

/// The attacker begins a login of their own and makes the victim's browser end it, or the other way round.
#[tokio::test]
async fn what_belongs_to_one_login_ends_no_other() {
    let provider = OpenIdProvider::start().await.unwrap();
    let core = core_with_device(&provider).await;
    core.add_person("ada").await;
    enroll(&core, "ada", 2).await;
    let (of_joe, of_ada) = (begin(&core, 1).await, begin(&core, 2).await);
    let joe = core.visit_for(&of_joe, &provider).await;
    provider.sign_in_as(Account::new("subject-of-ada", "ada@example.org"));
    let ada = core.visit_for(&of_ada, &provider).await;
    let asked = provider.asked();

    // Joe's code and nonce under Ada's state, and each of them alone.
    let mut mixed = joe.clone();
    mixed.returned.state.clone_from(&ada.returned.state);
    assert_refused(core.ask(mixed.authenticate()).await, 16, "unauthorized");
    let mut mixed = joe.clone();
    mixed.nonce.clone_from(&ada.nonce);
    assert_refused(core.ask(mixed.authenticate()).await, 16, "unauthorized");
    // The nonce of an enrollment.
    let mut mixed = joe.clone();
    mixed.nonce = core.visit(&provider).await.nonce;
    assert_refused(core.ask(mixed.authenticate()).await, 16, "unauthorized");
    assert_eq!(provider.asked().tokens, asked.tokens, "the provider was not asked");

    core.ask(joe.authenticate()).await.unwrap();
    core.ask(ada.authenticate()).await.unwrap();
    assert_passed(core.ask(finish(&of_joe)).await);
    assert_passed(core.ask(finish(&of_ada)).await);
}

#[tokio::test]
async fn a_login_takes_the_method_of_its_location_only() {
    let provider = OpenIdProvider::start().await.unwrap();
    let core = core_with_device(&provider).await;
    let text = "selected MFA method not supported by location";
    assert_refused(try_begin(&core, 1, client::MfaMethod::Totp).await, 3, text);
}

#[tokio::test]
async fn a_state_that_leads_to_no_login_is_refused() {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let provider = OpenIdProvider::start().await.unwrap();
    let core = core_with_device(&provider).await;
    let login = begin(&core, 1).await;
    let visit = core.visit_for(&login, &provider).await;
    let unknown = "u".repeat(32);
    for (state, text) in [
        ("%".to_owned(), "invalid state data"),
        (STANDARD.encode("no dot"), "invalid state data"),
        (STANDARD.encode([0xff, b'.']), "invalid state data"),
        (STANDARD.encode("random."), "empty token provided"),
        (STANDARD.encode("random.short"), "invalid token"),
    ] {
        let mut wrong = visit.clone();
        wrong.returned.state.clone_from(&state);
        assert_refused(core.ask(wrong.authenticate()).await, 3, text);
    }
    let nobody = core.visit_for(&unknown, &provider).await;
    assert_refused(core.ask(nobody.authenticate()).await, 3, "login session not found");
    for (state, text) in [(None, "empty token provided"), (Some("short"), "invalid token")] {
        assert_refused(core.ask(auth_info(client::AuthFlowType::Mfa, state)).await, 3, text);
    }
}

#[tokio::test]
async fn a_login_that_took_too_long_is_not_passed() {
    let provider = OpenIdProvider::start().await.unwrap();
    let core = core_with_device(&provider).await;
    let login = begin(&core, 1).await;
    let visit = core.visit_for(&login, &provider).await;
    core.wait(300);
    assert_refused(core.ask(visit.authenticate()).await, 3, "invalid token");
    assert_refused(core.ask(finish(&login)).await, 3, "invalid token");
}
