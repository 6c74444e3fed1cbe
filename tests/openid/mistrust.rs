//! A provider, or somebody in its place, that proves nothing gets nobody in.

use postern_core::openid::DistrustError;
use postern_tests::{
    OpenIdProvider,
    openid_provider::{Algorithm, Misbehaviour},
};

use crate::support::{Core, refused, token};

#[tokio::test]
async fn a_token_that_proves_nothing_is_refused() {
    for algorithm in Algorithm::ALL {
        let provider = OpenIdProvider::start_with(algorithm).await.unwrap();
        let core = Core::with_joe(&provider).await;
        for misbehaviour in Misbehaviour::OF_TOKENS {
            provider.misbehave(misbehaviour);
            let (code, text) = refused(core.sign_in(&provider).await);
            let expected = (16, format!("OpenID auth error {}", reason(misbehaviour)));
            assert_eq!((code, text), expected, "{algorithm:?} {misbehaviour:?}");
        }
        let rows = core.activity().await;
        assert!(!rows.iter().any(|row| row.contains("linked")), "{rows:?}");
        provider.behave();
        token(core.sign_in(&provider).await);
    }
}

#[tokio::test]
async fn an_answer_that_leads_elsewhere_or_nowhere_is_given_up() {
    let provider = OpenIdProvider::start().await.unwrap();
    let core = Core::with_joe(&provider).await;
    for misbehaviour in Misbehaviour::OF_TRANSPORT {
        provider.misbehave(misbehaviour);
        let (code, text) = refused(core.sign_in(&provider).await);
        let expected = (14, "the OpenID provider cannot be reached; try again");
        assert_eq!((code, text.as_str()), expected, "{misbehaviour:?}");
    }
    provider.behave();
    token(core.sign_in(&provider).await);
}

/// Each is refused for what is wrong with it, and for nothing else.
fn reason(misbehaviour: Misbehaviour) -> DistrustError {
    let reasons = [
        (Misbehaviour::OtherAuthorizedParty, DistrustError::OtherClient),
        (Misbehaviour::WrongAccessTokenHash, DistrustError::OtherAccessToken),
        (Misbehaviour::EmptySubject, DistrustError::NoSubject),
        (Misbehaviour::LongSubject, DistrustError::NoSubject),
        (Misbehaviour::UnknownKeyId, DistrustError::UnknownKey),
        (Misbehaviour::SharedKeyFromPublicKey, DistrustError::UnknownKey),
        (Misbehaviour::SharedKeyFromSecret, DistrustError::UnknownKey),
        (Misbehaviour::NoIdToken, DistrustError::NoIdToken),
        (Misbehaviour::NotJson, DistrustError::Malformed),
        (Misbehaviour::NoIssuer, DistrustError::Malformed),
        (Misbehaviour::NoExpiry, DistrustError::Malformed),
        (Misbehaviour::NoSubject, DistrustError::Malformed),
        (Misbehaviour::RefusesCode, DistrustError::Code),
    ];
    let other = reasons.iter().find(|(of, _)| *of == misbehaviour);
    other.map_or(DistrustError::Claims, |(_, reason)| *reason)
}
