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
        Challenge, Code, Whereabouts,
        login::{self, LoginRequest, Method, ShownLogin, ValidateError},
        mail_code,
        setup::{self, Confirmation},
    },
    token::Token,
};

/// A factor that is set up with a code.
#[derive(Debug, Clone, Copy)]
enum SetupKind {
    App,
    Mail,
}

impl Dispatcher {
    pub(super) async fn code_mfa_setup_start(&self, caller: Caller, body: CodeMfaSetupStartRequest) -> Reply {
        let mut attempt = caller.anonymous_attempt();
        let token = self.known_token(Some(body.token), &attempt).await?;
        let kind = self.setup_kind(body.method)?;
        let outcome = self.store.operate(caller.into_operation(), move |tx| {
            Box::pin(async move {
                let begun = match kind {
                    SetupKind::App => setup::start(tx, &token, &mut attempt).await.map(Some),
                    SetupKind::Mail => mail_code::start(tx, &token, &mut attempt).await.map(|()| None),
                };
                let result = begun.map(|seed| {
                    let totp_secret = seed.map(|seed| seed.to_base32().to_string());
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
        let kind = self.setup_kind(body.method)?;
        let (whereabouts, mail) = (self.whereabouts(&caller), self.instance.mail);
        let shown = Confirmation { token, code: Code::new(body.code), whereabouts, mail };
        let looked = match kind {
            SetupKind::App => setup::may_finish(&self.store, shown.clone(), attempt).await,
            SetupKind::Mail => mail_code::may_finish(&self.store, shown.clone(), attempt).await,
        };
        let (mut attempt, refusal) = looked.map_err(|error| error.rejection())?;
        self.turn_away(&caller, refusal, &attempt).await?;
        let outcome = self.store.operate(caller.into_operation(), move |tx| {
            Box::pin(async move {
                let confirmed = match kind {
                    SetupKind::App => setup::finish(tx, &shown, &mut attempt).await,
                    SetupKind::Mail => mail_code::finish(tx, &shown, &mut attempt).await,
                };
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
            has_mail_codes: self.instance.mail.takes_codes(),
            has_openid: self.openid.is_some(),
            posture: self.posture_with_login(body.posture_data),
        };
        let whereabouts = self.whereabouts(&caller);
        let attempt = caller.anonymous_attempt();
        let looked = login::may_start(&self.store, request.clone(), whereabouts.clone(), attempt).await;
        let (mut attempt, refusal) = looked.map_err(|error| error.rejection())?;
        self.turn_away(&caller, refusal, &attempt).await?;
        let instance = self.instance.id;
        let outcome = self.store.operate_in(request.isolation(), caller.into_operation(), move |tx| {
            Box::pin(async move {
                let begun = login::start(tx, &request, &whereabouts, &mut attempt).await;
                let result = begun.map(|login| {
                    let challenge = Challenge::of(tx.sealer(), instance, login.method, &login.token);
                    let challenge = challenge.map(|challenge| challenge.expose().to_owned());
                    let token = login.token.expose().to_owned();
                    Payload::ClientMfaStart(ClientMfaStartResponse { token, challenge })
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
        let (whereabouts, instance) = (self.whereabouts(&caller), self.instance.id);
        let shown = ShownLogin { token, code, phone_key: body.auth_pub_key, instance, whereabouts };
        let looked = login::may_finish(&self.store, shown.clone(), attempt).await;
        let (mut attempt, refusal) = looked.map_err(|error| error.rejection())?;
        self.turn_away(&caller, refusal, &attempt).await?;
        let lifetime = self.instance.authorisation_lifetime;
        let approvals = Arc::clone(&self.approvals);
        let outcome = self.store.operate(caller.into_operation(), move |tx| {
            Box::pin(async move {
                let passed = login::finish(tx, &shown, lifetime, &approvals, &mut attempt).await;
                let result = passed.map(|authorised| {
                    let preshared_key = authorised.preshared_key.to_base64().to_string();
                    let is_for_another = authorised.method == Method::MobileApproval;
                    let token = is_for_another.then(|| shown.token.expose().to_owned());
                    Payload::ClientMfaFinish(ClientMfaFinishResponse { preshared_key, token })
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

    fn setup_kind(&self, number: i32) -> Result<SetupKind, Rejection> {
        match method(number) {
            Some(Method::Totp) => Ok(SetupKind::App),
            Some(Method::Email) if self.instance.mail.takes_codes() => Ok(SetupKind::Mail),
            Some(Method::Email | Method::OpenId | Method::Biometric | Method::MobileApproval) | None => {
                Err(reject::method_not_supported())
            }
        }
    }

    fn whereabouts(&self, caller: &Caller) -> Whereabouts {
        Whereabouts { network: caller.network(), polls: Arc::clone(&self.recent_polls) }
    }

    /// Ends what the first look refused, far from the writer. Not what was answered before: a login that has passed is
    /// gone, and the repeat of its last request still gets the stored reply.
    pub(super) async fn turn_away(
        &self,
        caller: &Caller,
        refusal: Option<impl Refusal>,
        attempt: &Attempt,
    ) -> Result<(), Rejection> {
        let Some(refusal) = refusal else { return Ok(()) };
        if self.is_remembered(caller).await? {
            return Ok(());
        }
        if refusal.is_to_wait() {
            return Err(refusal.rejection());
        }
        Err(self.refuse_stranger(&refusal, attempt).await)
    }

    /// This was asked before, and answered.
    pub(super) async fn is_remembered(&self, caller: &Caller) -> Result<bool, Rejection> {
        match caller.operation() {
            Some(operation) => self.store.remembers(operation).await.map_err(|error| error.rejection()),
            None => Ok(false),
        }
    }
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
