//! Signing in at an OpenID provider, to enroll or as the second factor of a login.
//!
//! Core is the only one that talks to the provider, and it believes nothing but a signed token for the very sign-in
//! that a browser began (state and nonce in that browser's sealed cookies, PKCE). The parameter `iss` of RFC 9207 does
//! not travel on the tunnel; with one provider, whose issuer every token must name, there is nothing to mix up.

mod claim;
mod exchange;
mod fetch;
mod identity;
mod issuer;
mod nonce;
mod provider;
mod sign_in;
mod turns;

use std::{borrow::Cow, fmt};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use openidconnect::{
    AuthorizationCode, CsrfToken, Nonce as WireNonce, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope,
    core::CoreAuthenticationFlow,
};
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use tokio_util::sync::CancellationToken;

pub use exchange::DistrustError;
pub use identity::{Identity, LinkError, Linking, OwnerError, link, unlink};
pub(crate) use identity::{owner, settle};
pub use issuer::{InvalidIssuer, Issuer};
pub use nonce::{Flow, Nonce, NonceError};
pub use provider::Limits;
pub(crate) use sign_in::spend;
pub use sign_in::{RedeemError, SignInError, may_sign_in, sign_in};

use self::{
    claim::Claim,
    exchange::{Exchange, ExchangeError},
    provider::Provider,
    turns::{Place, Turns},
};
use crate::{
    secret::Secret,
    store::{Store, StoreError},
    token::Token,
};

/// Sign-ins that end at the same time, of each flow. A slow provider holds so many of Core's permits and no more; and
/// strangers, who can begin an enrollment but no login, take no place from logins.
const ENDING_MAX: usize = 32;
/// What a client may have carried through the provider. Ours is a token of 32 characters.
const STATE_MAX: usize = 1024;
/// Longest code; no provider comes near it.
const CODE_MAX: usize = 4096;

/// The provider, and who Core is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub issuer: Issuer,
    pub client_id: String,
    pub client_secret: Secret,
    /// On the button.
    pub display_name: String,
    pub linking: Linking,
}

/// Where a browser goes to begin a sign-in, and what it must bring back.
pub struct Beginning {
    pub url: String,
    pub csrf_token: String,
    pub nonce: Nonce,
}

/// All of it is secret: the address repeats the rest.
impl fmt::Debug for Beginning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Beginning(***)")
    }
}

/// A sign-in cannot begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BeginError {
    #[error("the OpenID provider cannot be reached; try again")]
    Unreachable,
    #[error("the state is too long")]
    StateTooLong,
}

/// What came back as the state leads to no login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    #[error("invalid state data")]
    Malformed,
    #[error("empty token provided")]
    Empty,
    #[error("invalid token")]
    NoToken,
}

/// Nobody could sign in with these settings.
#[derive(Debug, thiserror::Error)]
pub enum RelyingPartyError {
    #[error("{public_url} is no address that an OpenID provider can send people back to")]
    Callback { public_url: String },
    #[error("an authority in outbound_ca_file is none")]
    Authority(#[source] rustls::Error),
}

/// The right to end a sign-in. The next one waits until it is given back; one that is dropped runs out.
#[derive(Debug)]
pub struct Turn {
    claim: Claim,
    _place: Place,
}

impl Turn {
    /// After the reply is stored.
    pub async fn end(self, store: &Store) {
        self.claim.give_back(store).await;
    }
}

/// Core as a client of one OpenID provider.
pub struct RelyingParty {
    settings: Settings,
    enrollment_callback: RedirectUrl,
    mfa_callback: RedirectUrl,
    provider: Provider,
    enrollments: Turns,
    logins: Turns,
}

impl fmt::Debug for RelyingParty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelyingParty").field("provider", &self.provider).finish_non_exhaustive()
    }
}

impl RelyingParty {
    /// People come back from the provider to addresses below `public_url`, which ends with a slash. The provider's
    /// certificate comes from one of the public authorities, or of these.
    pub fn new(
        settings: Settings,
        public_url: &str,
        authorities: &[CertificateDer<'static>],
        limits: Limits,
    ) -> Result<Self, RelyingPartyError> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        for authority in authorities {
            roots.add(authority.clone()).map_err(RelyingPartyError::Authority)?;
        }
        let callback = |path: &str| {
            let failed = |_| RelyingPartyError::Callback { public_url: public_url.to_owned() };
            RedirectUrl::new(format!("{public_url}{path}")).map_err(failed)
        };
        Ok(Self {
            enrollment_callback: callback("openid/callback")?,
            mfa_callback: callback("openid/mfa/callback")?,
            provider: Provider::new(&settings, roots, limits),
            settings,
            enrollments: Turns::new(ENDING_MAX),
            logins: Turns::new(ENDING_MAX),
        })
    }

    /// Keeps what is known of the provider fresh, until told to stop. Nobody signs in without it.
    pub async fn run(&self, drain: CancellationToken) {
        self.provider.run(drain).await;
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Begins a sign-in, for whoever asks: nothing is stored, and nobody is asked.
    pub fn begin(&self, flow: Flow<'_>, state: Option<&str>, store: &Store) -> Result<Beginning, BeginError> {
        if state.is_some_and(|state| state.len() > STATE_MAX) {
            return Err(BeginError::StateTooLong);
        }
        let known = self.provider.known().ok_or(BeginError::Unreachable)?;
        let random = Token::random();
        let csrf_token = match state {
            None => random.expose().to_owned(),
            Some(state) => STANDARD.encode(format!("{}.{state}", random.expose())),
        };
        let nonce = Nonce::new(flow, store.sealer(), store.now());
        let verifier = PkceCodeVerifier::new(nonce.pkce_verifier(store.sealer()).to_string());
        let (state, wire_nonce) = (CsrfToken::new(csrf_token.clone()), WireNonce::new(nonce.expose().to_owned()));
        let (url, ..) = known
            .client
            .authorize_url(CoreAuthenticationFlow::AuthorizationCode, move || state, move || wire_nonce)
            .set_redirect_uri(Cow::Borrowed(self.callback(flow)))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
            .add_scope(Scope::new("email".to_owned()))
            .url();
        Ok(Beginning { url: url.into(), csrf_token, nonce })
    }

    /// Everybody who ends this sign-in waits for their turn, at whichever Core: of a request that was sent twice, the
    /// second finds what the first left.
    pub async fn turn(&self, nonce: &Nonce, flow: Flow<'_>, store: &Store) -> Result<Turn, RedeemError> {
        let sign_in = nonce.digest(store.sealer());
        let turns = match flow {
            Flow::Enrollment => &self.enrollments,
            Flow::Mfa(_) => &self.logins,
        };
        let place = turns.take(sign_in).ok_or(RedeemError::Busy)?;
        let turn = async {
            let place = place.await;
            Ok(Turn { claim: Claim::take(store, sign_in).await?, _place: place })
        };
        self.provider.within_limit(turn).await.ok_or(RedeemError::Unreachable)?
    }

    /// Redeems a code: once, and only for a nonce that has not ended a sign-in yet.
    pub async fn redeem(
        &self,
        code: String,
        nonce: &Nonce,
        flow: Flow<'_>,
        store: &Store,
    ) -> Result<Identity, RedeemError> {
        let digest = nonce.digest(store.sealer());
        let is_used =
            store.read::<_, StoreError, _>(|tx| Box::pin(async move { tx.is_openid_nonce_used(&digest).await }));
        if is_used.await? {
            return Err(RedeemError::Used);
        }
        if code.is_empty() || code.len() > CODE_MAX {
            return Err(RedeemError::Distrust(DistrustError::Code));
        }
        let known = self.provider.known().ok_or(RedeemError::Unreachable)?;
        let exchange = Exchange {
            code: AuthorizationCode::new(code),
            nonce: WireNonce::new(nonce.expose().to_owned()),
            pkce_verifier: PkceCodeVerifier::new(nonce.pkce_verifier(store.sealer()).to_string()),
            redirect_url: self.callback(flow).clone(),
            now: store.now(),
        };
        match self.provider.within_limit(exchange.run(&self.provider, &known)).await {
            Some(Ok(identity)) => Ok(identity),
            Some(Err(ExchangeError::Distrust(error))) => Err(RedeemError::Distrust(error)),
            Some(Err(ExchangeError::Fetch(error))) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the OpenID provider did not redeem a code");
                Err(RedeemError::Unreachable)
            }
            None => Err(RedeemError::Unreachable),
        }
    }

    fn callback(&self, flow: Flow<'_>) -> &RedirectUrl {
        match flow {
            Flow::Enrollment => &self.enrollment_callback,
            Flow::Mfa(_) => &self.mfa_callback,
        }
    }
}

/// The token of the login that a state carries: all that follows its first dot.
pub fn token_in(state: &str) -> Result<Token, StateError> {
    let decoded = STANDARD.decode(state).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let text = decoded.ok_or(StateError::Malformed)?;
    let (_, token) = text.split_once('.').ok_or(StateError::Malformed)?;
    login_token(token)
}

/// The token of a login, as a browser showed it.
pub fn login_token(shown: &str) -> Result<Token, StateError> {
    if shown.is_empty() {
        return Err(StateError::Empty);
    }
    Token::parse(shown.to_owned()).map_err(|_| StateError::NoToken)
}
