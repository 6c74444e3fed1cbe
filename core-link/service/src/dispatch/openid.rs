//! Sign-ins at the OpenID provider: their beginning, and their end as an enrollment or as a second factor.

use std::sync::Arc;

use postern_core_link::Reply;
use postern_proto::{
    client_types::{AuthFlowType, AuthInfoRequest},
    proxy::{
        AuthCallbackRequest, AuthCallbackResponse, AuthInfoResponse, ClientMfaOidcAuthenticateRequest,
        core_response::Payload,
    },
};

use super::{
    Dispatcher,
    caller::Caller,
    reject::{self, Refusal as _},
    reply::{finish, settle},
};
use crate::{
    activity::Attempt,
    mfa::login::{self, AuthenticateError},
    openid::{Flow, Identity, Nonce, RedeemError, RelyingParty, SignInError, may_sign_in, sign_in, token_in},
    token::Token,
};

impl Dispatcher {
    /// Open to everybody, so nothing is written, and no answer of the provider is waited for.
    pub(super) fn auth_info(&self, body: AuthInfoRequest) -> Reply {
        let openid = self.openid.as_deref().ok_or_else(reject::no_openid_provider)?;
        let state = body.state.as_deref();
        let login;
        let flow = match AuthFlowType::try_from(body.auth_flow_type) {
            Ok(AuthFlowType::Enrollment) => Flow::Enrollment,
            Ok(AuthFlowType::Mfa) => {
                login = login_token(state).map_err(|error| error.rejection())?;
                Flow::Mfa(&login)
            }
            // Before 2.0 an Edge said where people come back to. Core alone decides that.
            Ok(AuthFlowType::Unspecified) | Err(_) => return Err(reject::invalid_redirect_url()),
        };
        let beginning = openid.begin(flow, state, &self.store).map_err(|error| error.rejection())?;
        Ok(Payload::AuthInfo(AuthInfoResponse {
            url: beginning.url,
            csrf_token: beginning.csrf_token,
            nonce: beginning.nonce.expose().to_owned(),
            button_display_name: Some(openid.settings().display_name.clone()),
        }))
    }

    pub(super) async fn auth_callback(&self, caller: Caller, body: AuthCallbackRequest) -> Reply {
        let attempt = caller.anonymous_attempt();
        let Some(openid) = &self.openid else {
            return Err(self.refuse_stranger(&SignInError::NoProvider, &attempt).await);
        };
        let parsed = Nonce::parse(body.nonce, Flow::Enrollment, self.store.sealer(), self.store.now());
        let nonce = match parsed {
            Ok(nonce) => nonce,
            Err(error) => {
                return Err(self.refuse_stranger(&SignInError::from(RedeemError::from(error)), &attempt).await);
            }
        };
        let turn = match openid.turn(&nonce, Flow::Enrollment, &self.store).await {
            Ok(turn) => turn,
            Err(error) => return Err(self.refuse_stranger(&SignInError::from(error), &attempt).await),
        };
        let reply = self.end_sign_in(openid, caller, (body.code, nonce), attempt).await;
        turn.end(&self.store).await;
        reply
    }

    async fn end_sign_in(
        &self,
        openid: &Arc<RelyingParty>,
        caller: Caller,
        (code, nonce): (String, Nonce),
        mut attempt: Attempt,
    ) -> Reply {
        let identity = match self.redeem(openid, &caller, (code, &nonce), Flow::Enrollment).await {
            Ok(identity) => identity,
            Err(error) => return Err(self.refuse_stranger(&SignInError::from(error), &attempt).await),
        };
        let linking = openid.settings().linking;
        if let Some(identity) = &identity
            && let Err(error) = may_sign_in(&self.store, identity, linking).await
        {
            return Err(self.refuse_stranger(&SignInError::from(error), &attempt).await);
        }
        let url = self.instance.public_url.clone();
        let outcome = self.store.operate(caller.into_operation(), move |tx| {
            Box::pin(async move {
                let signed_in = sign_in(tx, identity, &nonce, linking, &mut attempt).await;
                let result = signed_in
                    .map(|token| Payload::AuthCallback(AuthCallbackResponse { url, token: token.expose().to_owned() }));
                settle(tx, result, &attempt).await
            })
        });
        finish(outcome.await)
    }

    pub(super) async fn client_mfa_oidc_authenticate(
        &self,
        caller: Caller,
        body: ClientMfaOidcAuthenticateRequest,
    ) -> Reply {
        let attempt = caller.anonymous_attempt();
        let Some(openid) = &self.openid else {
            return Err(self.refuse_stranger(&AuthenticateError::NoProvider, &attempt).await);
        };
        let token = match token_in(&body.state) {
            Ok(token) => token,
            Err(error) => return Err(self.refuse_stranger(&AuthenticateError::from(error), &attempt).await),
        };
        let flow = Flow::Mfa(&token);
        let nonce = match Nonce::parse(body.nonce, flow, self.store.sealer(), self.store.now()) {
            Ok(nonce) => nonce,
            Err(error) => {
                return Err(self.refuse_stranger(&AuthenticateError::from(RedeemError::from(error)), &attempt).await);
            }
        };
        let turn = match openid.turn(&nonce, flow, &self.store).await {
            Ok(turn) => turn,
            Err(error) => return Err(self.refuse_stranger(&AuthenticateError::from(error), &attempt).await),
        };
        let reply = self.end_login(openid, caller, (body.code, nonce, token), attempt).await;
        turn.end(&self.store).await;
        reply
    }

    async fn end_login(
        &self,
        openid: &Arc<RelyingParty>,
        caller: Caller,
        (code, nonce, token): (String, Nonce, Token),
        attempt: Attempt,
    ) -> Reply {
        let looked = login::may_authenticate(&self.store, &token, attempt).await;
        let (mut attempt, refusal) = looked.map_err(|error| error.rejection())?;
        self.turn_away(&caller, refusal, &attempt).await?;
        let word = match self.redeem(openid, &caller, (code, &nonce), Flow::Mfa(&token)).await {
            Ok(identity) => Ok(identity),
            Err(RedeemError::Distrust(error)) => Err(error),
            Err(error) => return Err(self.refuse_stranger(&AuthenticateError::from(error), &attempt).await),
        };
        let linking = openid.settings().linking;
        let outcome = self.store.operate(caller.into_operation(), move |tx| {
            Box::pin(async move {
                let passed = login::authenticate(tx, word, (&token, &nonce), linking, &mut attempt).await;
                settle(tx, passed.map(Payload::Empty), &attempt).await
            })
        });
        finish(outcome.await)
    }

    /// Whom the provider names for a code. `None`: the answer to this operation is stored, so it is not asked again.
    async fn redeem(
        &self,
        openid: &Arc<RelyingParty>,
        caller: &Caller,
        (code, nonce): (String, &Nonce),
        flow: Flow<'_>,
    ) -> Result<Option<Identity>, RedeemError> {
        if let Some(operation) = caller.operation()
            && self.store.remembers(operation).await?
        {
            return Ok(None);
        }
        openid.redeem(code, nonce, flow, &self.store).await.map(Some)
    }
}

fn login_token(state: Option<&str>) -> Result<Token, AuthenticateError> {
    Ok(crate::openid::login_token(state.unwrap_or_default())?)
}
