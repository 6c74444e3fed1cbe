//! Redeems a code at the provider, and believes nothing but a token that is signed by it, for us, for this sign-in.

use std::time::{Duration, SystemTime};

use openidconnect::{
    AccessTokenHash, AuthorizationCode, IdTokenVerifier, Nonce as WireNonce, OAuth2TokenResponse as _,
    PkceCodeVerifier, RedirectUrl, RequestTokenError, SignatureVerificationError, TokenResponse as _,
    core::{CoreIdToken, CoreIdTokenClaims, CoreJwsSigningAlgorithm, CoreTokenResponse},
};

use super::{
    fetch::FetchError,
    identity::{Identity, is_subject},
    provider::{Known, Provider},
};
use crate::clock::Timestamp;

/// Signatures only. A code under a shared secret (HS256 and its like) could be made by whoever has the secret, and
/// `none` by anybody.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];
/// How far the provider's clock may be ahead.
const CLOCK_AHEAD_MAX: Duration = Duration::from_mins(1);
/// A token is made when its code is redeemed; an older one was made for somebody else's request.
const TOKEN_AGE_MAX: Duration = Duration::from_mins(10);

/// One code to redeem.
pub(super) struct Exchange {
    pub(super) code: AuthorizationCode,
    pub(super) nonce: WireNonce,
    pub(super) pkce_verifier: PkceCodeVerifier,
    pub(super) redirect_url: RedirectUrl,
    pub(super) now: Timestamp,
}

/// The provider's word is not good enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DistrustError {
    #[error("the provider did not take the code")]
    Code,
    #[error("the provider's answer is no token response")]
    Malformed,
    #[error("the provider sent no ID token")]
    NoIdToken,
    #[error("the ID token is not signed by a key of the provider")]
    UnknownKey,
    #[error("the ID token does not belong to this sign-in")]
    Claims,
    #[error("the ID token was made for another client")]
    OtherClient,
    #[error("the ID token belongs to another access token")]
    OtherAccessToken,
    #[error("the ID token names nobody")]
    NoSubject,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum ExchangeError {
    #[error("the provider cannot be asked")]
    Fetch(#[source] FetchError),
    #[error(transparent)]
    Distrust(#[from] DistrustError),
}

impl Exchange {
    /// Who the person is, by the provider's word.
    pub(super) async fn run(self, provider: &Provider, known: &Known) -> Result<Identity, ExchangeError> {
        let ask = provider.fetcher.as_client();
        let Self { code, nonce, pkce_verifier, redirect_url, now } = self;
        let redeemed = known
            .client
            .exchange_code(code)
            .set_pkce_verifier(pkce_verifier)
            .set_redirect_uri(std::borrow::Cow::Owned(redirect_url))
            .request_async(&ask)
            .await;
        let answer = redeemed.map_err(|error| match error {
            RequestTokenError::Request(error) => ExchangeError::Fetch(error),
            RequestTokenError::ServerResponse(_) => DistrustError::Code.into(),
            RequestTokenError::Parse(..) | RequestTokenError::Other(_) => DistrustError::Malformed.into(),
        })?;
        let token = answer.id_token().ok_or(DistrustError::NoIdToken)?;
        let checked = match check(known, &answer, token, (&nonce, now)) {
            Err(DistrustError::UnknownKey) => match provider.newer_than(known).await {
                Some(newer) => check(&newer, &answer, token, (&nonce, now)),
                None => Err(DistrustError::UnknownKey),
            },
            checked => checked,
        };
        Ok(checked?)
    }
}

fn check(
    known: &Known,
    answer: &CoreTokenResponse,
    token: &CoreIdToken,
    (nonce, now): (&WireNonce, Timestamp),
) -> Result<Identity, DistrustError> {
    // For a public client: without the secret no shared key can ever be tried.
    let client_id = known.client.client_id().clone();
    let issuer = known.issuer.clone();
    let verifier = IdTokenVerifier::new_public_client(client_id.clone(), issuer, known.keys.clone())
        .set_allowed_algs(ALGORITHMS)
        .set_time_fn(move || (SystemTime::UNIX_EPOCH + since_1970(now)).into())
        .set_issue_time_verifier_fn(move |at| fresh(at.timestamp(), now));
    let key = token.signing_key(&verifier).map_err(|error| {
        let is_unknown = error == SignatureVerificationError::NoMatchingKey;
        if is_unknown { DistrustError::UnknownKey } else { DistrustError::Claims }
    })?;
    let claims = token.claims(&verifier, nonce).map_err(|_| DistrustError::Claims)?;
    if claims.authorized_party().is_some_and(|party| *party != client_id) {
        return Err(DistrustError::OtherClient);
    }
    if let Some(shown) = claims.access_token_hash() {
        let algorithm = token.signing_alg().map_err(|_| DistrustError::Claims)?;
        let actual = AccessTokenHash::from_token(answer.access_token(), algorithm, key);
        if actual.map_err(|_| DistrustError::OtherAccessToken)? != *shown {
            return Err(DistrustError::OtherAccessToken);
        }
    }
    identity(claims)
}

fn identity(claims: &CoreIdTokenClaims) -> Result<Identity, DistrustError> {
    let subject = claims.subject().as_str();
    if !is_subject(subject) {
        return Err(DistrustError::NoSubject);
    }
    let email = claims.email().filter(|_| claims.email_verified() == Some(true));
    Ok(Identity {
        issuer: claims.issuer().as_str().to_owned(),
        subject: subject.to_owned(),
        verified_email: email.map(|email| comparable(email)),
    })
}

/// As addresses rest in the store. Only ASCII: other letters that become the same small one (the Kelvin sign is a `k`)
/// are another mailbox, and must not find somebody else's person.
fn comparable(email: &str) -> String {
    email.to_ascii_lowercase()
}

fn fresh(issued_at: i64, now: Timestamp) -> Result<(), String> {
    let newest = now.after(CLOCK_AHEAD_MAX).as_unix();
    let oldest = Timestamp::from_unix(issued_at).after(TOKEN_AGE_MAX);
    if issued_at <= newest && oldest >= now { Ok(()) } else { Err("issued at another time".to_owned()) }
}

fn since_1970(now: Timestamp) -> Duration {
    Duration::from_secs(u64::try_from(now.as_unix()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_look_alike_letters_is_another_one() {
        assert_eq!(comparable("Mike@Example.com"), "mike@example.com");
        assert_ne!(comparable("mi\u{212a}e@example.com"), "mike@example.com");
    }
}
