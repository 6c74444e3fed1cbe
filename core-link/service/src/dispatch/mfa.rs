//! The second factor: setting it up, and logins with it.

use std::sync::Arc;

use postern_core_link::Reply;
use postern_proto::{
    client_types::{
        ClientMfaFinishRequest, ClientMfaFinishResponse, ClientMfaStartRequest, ClientMfaStartResponse,
        CodeMfaSetupFinishRequest, CodeMfaSetupFinishResponse, CodeMfaSetupStartRequest, CodeMfaSetupStartResponse,
        MfaMethod,
    },
    proxy::{ClientMfaTokenValidationRequest, ClientMfaTokenValidationResponse, core_response::Payload},
    rejection::Rejection,
};

use super::{
    Dispatcher,
    caller::Caller,
    reject::{self, Refusal},
    reply::{finish, settle},
};
use crate::{
    activity::Attempt,
    device::PublicKey,
    location::LocationId,
    mfa::{
        Code, Whereabouts,
        login::{self, LoginRequest, Method, ShownLogin, ValidateError},
        setup,
    },
    token::Token,
};

impl Dispatcher {
    pub(super) async fn code_mfa_setup_start(&self, caller: Caller, body: CodeMfaSetupStartRequest) -> Reply {
        let mut attempt = caller.anonymous_attempt();
        let token = self.known_token(Some(body.token), &attempt).await?;
        only_totp(body.method)?;
        let outcome = self.store.operate(caller.into_operation(), move |tx| {
            Box::pin(async move {
                let begun = setup::start(tx, &token, &mut attempt).await;
                let result = begun.map(|seed| {
                    let totp_secret = Some(seed.to_base32().to_string());
                    Payload::CodeMfaSetupStartResponse(CodeMfaSetupStartResponse { totp_secret })
                });
                settle(tx, result, &attempt).await
            })
        });
        finish(outcome.await)
    }

    pub(super) async fn code_mfa_setup_finish(&self, caller: Caller, body: CodeMfaSetupFinishRequest) -> Reply {
        let attempt = caller.anonymous_attempt();
        let token = self.known_token(Some(body.token), &attempt).await?;
        only_totp(body.method)?;
        let code = Code::new(body.code);
        let whereabouts = self.whereabouts(&caller);
        let looked = setup::may_finish(&self.store, &token, &whereabouts, attempt).await;
        let (mut attempt, refusal) = looked.map_err(|error| error.rejection())?;
        self.turn_away(&caller, refusal, &attempt).await?;
        let outcome = self.store.operate(caller.into_operation(), move |tx| {
            Box::pin(async move {
                let confirmed = setup::finish(tx, &token, &code, &whereabouts, &mut attempt).await;
                let result = confirmed.map(|codes| {
                    let recovery_codes = codes.iter().map(|code| code.expose().to_owned()).collect();
                    Payload::CodeMfaSetupFinishResponse(CodeMfaSetupFinishResponse { recovery_codes })
                });
                settle(tx, result, &attempt).await
            })
        });
        finish(outcome.await)
    }

    pub(super) async fn client_mfa_start(&self, caller: Caller, body: ClientMfaStartRequest) -> Reply {
        let request = LoginRequest {
            location: LocationId::new(body.location_id),
            key: PublicKey::parse(&body.pubkey).ok(),
            method: method(body.method),
        };
        let whereabouts = self.whereabouts(&caller);
        let attempt = caller.anonymous_attempt();
        let looked = login::may_start(&self.store, request.clone(), whereabouts.clone(), attempt).await;
        let (mut attempt, refusal) = looked.map_err(|error| error.rejection())?;
        self.turn_away(&caller, refusal, &attempt).await?;
        let outcome = self.store.operate(caller.into_operation(), move |tx| {
            Box::pin(async move {
                let begun = login::start(tx, &request, &whereabouts, &mut attempt).await;
                let result = begun.map(|login| {
                    let token = login.token.expose().to_owned();
                    Payload::ClientMfaStart(ClientMfaStartResponse { token, challenge: None })
                });
                settle(tx, result, &attempt).await
            })
        });
        finish(outcome.await)
    }

    pub(super) async fn client_mfa_finish(&self, caller: Caller, body: ClientMfaFinishRequest) -> Reply {
        let attempt = caller.attempt()?;
        let Ok(token) = Token::parse(body.token) else {
            return Err(self.refuse_stranger(&login::FinishError::InvalidToken, &attempt).await);
        };
        let code = Code::new(body.code.unwrap_or_default());
        let shown = ShownLogin { token, code, whereabouts: self.whereabouts(&caller) };
        let looked = login::may_finish(&self.store, shown.clone(), attempt).await;
        let (mut attempt, refusal) = looked.map_err(|error| error.rejection())?;
        self.turn_away(&caller, refusal, &attempt).await?;
        let lifetime = self.instance.authorisation_lifetime;
        let outcome = self.store.operate(caller.into_operation(), move |tx| {
            Box::pin(async move {
                let passed = login::finish(tx, &shown, lifetime, &mut attempt).await;
                let result = passed.map(|authorised| {
                    let preshared_key = authorised.preshared_key.to_base64().to_string();
                    Payload::ClientMfaFinish(ClientMfaFinishResponse { preshared_key, token: None })
                });
                settle(tx, result, &attempt).await
            })
        });
        finish(outcome.await)
    }

    pub(super) async fn client_mfa_token_validation(&self, body: ClientMfaTokenValidationRequest) -> Reply {
        let validated = match Token::parse(body.token) {
            Ok(token) => login::is_valid(&self.store, &token).await,
            Err(_) => Err(ValidateError::Invalid),
        };
        let token_valid = validated.map_err(|error| error.rejection())?;
        Ok(Payload::ClientMfaTokenValidation(ClientMfaTokenValidationResponse { token_valid }))
    }

    fn whereabouts(&self, caller: &Caller) -> Whereabouts {
        Whereabouts { network: caller.network(), polls: Arc::clone(&self.recent_polls) }
    }

    /// Ends what the first look refused, far from the writer. Not what was answered before: a login that has passed is
    /// gone, and the repeat of its last request still gets the stored reply.
    async fn turn_away(
        &self,
        caller: &Caller,
        refusal: Option<impl Refusal>,
        attempt: &Attempt,
    ) -> Result<(), Rejection> {
        let Some(refusal) = refusal else { return Ok(()) };
        if let Some(operation) = caller.operation()
            && self.store.remembers(operation).await.map_err(|error| error.rejection())?
        {
            return Ok(());
        }
        Err(self.refuse_stranger(&refusal, attempt).await)
    }
}

fn only_totp(number: i32) -> Result<(), Rejection> {
    if method(number) == Some(Method::Totp) { Ok(()) } else { Err(reject::method_not_supported()) }
}

fn method(number: i32) -> Option<Method> {
    Some(match MfaMethod::try_from(number).ok()? {
        MfaMethod::Totp => Method::Totp,
        MfaMethod::Email => Method::Email,
        MfaMethod::Oidc => Method::OpenId,
        MfaMethod::Biometric => Method::Biometric,
        MfaMethod::MobileApprove => Method::MobileApproval,
    })
}
