//! A sign-in gives an enrollment token, once.

use postern_proto::{client_types as client, proxy::core_response};
use postern_tests::{
    OpenIdProvider,
    openid_provider::{Algorithm, Asked},
};

use crate::support::{Core, PUBLIC_URL, assert_refused, auth_info, refused, start, token};

#[tokio::test]
async fn a_sign_in_gives_a_token_that_enrolls() {
    for algorithm in Algorithm::ALL {
        let provider = OpenIdProvider::start_with(algorithm).await.unwrap();
        let core = Core::with_joe(&provider).await;
        let token = token(core.sign_in(&provider).await);
        let core_response::Payload::EnrollmentStart(started) = core.ask(start(&token)).await.unwrap() else {
            panic!("not a session")
        };
        assert_eq!(started.user.unwrap().login, "joe");
        assert_eq!(started.instance.unwrap().openid_display_name.as_deref(), Some("Example ID"));
        assert_eq!(
            core.activity().await[1..],
            ["openid_linked done joe by e-mail address", "auth_callback done joe", "enrollment_start done joe"]
        );
    }
}

#[tokio::test]
async fn a_beginning_names_the_button_and_writes_nothing() {
    let provider = OpenIdProvider::start().await.unwrap();
    let core = Core::with_joe(&provider).await;
    let rows = core.activity().await;
    let begun = core.ask(auth_info(client::AuthFlowType::Enrollment, None)).await;
    let core_response::Payload::AuthInfo(begun) = begun.unwrap() else { panic!("not a beginning") };
    assert_eq!(begun.button_display_name.as_deref(), Some("Example ID"));
    assert_eq!(begun.csrf_token.len(), 32);
    let callback = "redirect_uri=https%3A%2F%2Fvpn.example.org%2Fopenid%2Fcallback&";
    for part in [callback, "code_challenge_method=S256", "response_type=code", "scope=openid+email"] {
        assert!(begun.url.contains(part), "{part} is not in {}", begun.url);
    }
    assert_eq!(core.activity().await, rows);
    assert_eq!(provider.asked().tokens, 0);
}

#[tokio::test]
async fn people_come_back_to_the_public_address_only() {
    let provider = OpenIdProvider::start().await.unwrap();
    let core = Core::with_joe(&provider).await;
    let visit = core.visit(&provider).await;
    assert_eq!(visit.returned.address, format!("{PUBLIC_URL}openid/callback"));
    // As an Edge before 2.0 asks.
    let asked = client::AuthInfoRequest {
        redirect_url: "https://evil.example.net/".to_owned(),
        state: None,
        auth_flow_type: client::AuthFlowType::Unspecified.into(),
    };
    let asked = postern_proto::proxy::core_request::Payload::AuthInfo(asked);
    assert_refused(core.ask(asked).await, 3, "invalid redirect URL");
}

#[tokio::test]
async fn a_sign_in_ends_once() {
    let provider = OpenIdProvider::start().await.unwrap();
    let core = Core::with_joe(&provider).await;
    let visit = core.visit(&provider).await;
    token(core.ask(visit.callback()).await);
    let asked = provider.asked();
    assert_refused(core.ask(visit.callback()).await, 16, "OpenID auth error this sign-in has ended already");
    assert_eq!(provider.asked(), asked, "the provider was not asked again");
    // A fresh code does not revive the nonce.
    let mut again = core.visit(&provider).await;
    again.nonce = visit.nonce;
    assert_refused(core.ask(again.callback()).await, 16, "OpenID auth error this sign-in has ended already");
}

#[tokio::test]
async fn a_repeated_request_gets_the_same_token_and_the_provider_is_asked_once() {
    let provider = OpenIdProvider::start().await.unwrap();
    let core = Core::with_joe(&provider).await;
    let visit = core.visit(&provider).await;
    let before = provider.asked();
    let ask = || core.ask_as("one-and-the-same-operation", visit.callback());
    let (first, second, third) = tokio::join!(ask(), ask(), ask());
    let first = token(first);
    for reply in [second, third, ask().await] {
        assert_eq!(token(reply), first);
    }
    assert_eq!(provider.asked(), Asked { tokens: before.tokens + 1, ..before });
}

#[tokio::test]
async fn a_code_without_the_nonce_of_its_own_browser_is_worth_nothing() {
    let provider = OpenIdProvider::start().await.unwrap();
    let core = Core::with_joe(&provider).await;
    let (victim, attacker) = (core.visit(&provider).await, core.visit(&provider).await);
    for (code_of, nonce_of) in [(&victim, &attacker), (&attacker, &victim)] {
        let mut mixed = code_of.clone();
        mixed.nonce.clone_from(&nonce_of.nonce);
        // The PKCE verifier follows from the nonce, so the provider does not take the code.
        let text = "OpenID auth error the provider did not take the code";
        assert_refused(core.ask(mixed.callback()).await, 16, text);
    }
}

#[tokio::test]
async fn a_nonce_of_a_login_does_not_enroll_and_an_old_one_neither() {
    let provider = OpenIdProvider::start().await.unwrap();
    let core = Core::with_joe(&provider).await;
    let login = core.visit_for(&"t".repeat(32), &provider).await;
    let asked = provider.asked();
    let (code, text) = refused(core.ask(login.callback()).await);
    assert_eq!((code, text.as_str()), (16, "OpenID auth error the nonce is not of this sign-in"));
    let visit = core.visit(&provider).await;
    core.wait(600);
    assert_refused(core.ask(visit.callback()).await, 16, "OpenID auth error the sign-in took too long");
    assert_eq!(provider.asked(), asked, "the provider was not asked");
}

#[tokio::test]
async fn a_sign_in_goes_on_after_a_restart() {
    let provider = OpenIdProvider::start().await.unwrap();
    let core = Core::with_joe(&provider).await;
    let visit = core.visit(&provider).await;
    let core = core.restart(&provider).await;
    token(core.ask(visit.callback()).await);
}
