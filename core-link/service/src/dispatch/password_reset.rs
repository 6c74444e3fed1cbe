//! Password reset: asking for a mail, its link, the new password.

use postern_core_link::Reply;
use postern_proto::{
    proxy::{
        PasswordResetInitializeRequest, PasswordResetRequest, PasswordResetStartRequest, PasswordResetStartResponse,
        core_response::Payload,
    },
    rejection::Rejection,
};

use super::{
    Dispatcher,
    caller::Caller,
    reject::Refusal as _,
    reply::{finish, settle},
};
use crate::{
    activity::Attempt,
    enrollment::TokenError,
    password::Password,
    password_reset::{self, Choice},
    token::Token,
};

impl Dispatcher {
    pub(super) async fn password_reset_init(&self, caller: Caller, body: PasswordResetInitializeRequest) -> Reply {
        let mut attempt = caller.attempt()?;
        let (now, mail) = (self.store.now(), self.instance.mail);
        if !self.is_remembered(&caller).await? {
            self.reset_budget.take(caller.network(), now).map_err(|error| error.rejection())?;
        }
        if !mail.is_on() && self.reset_budget.may_tell(now) {
            tracing::warn!("somebody asks to reset a password, and no mail server is set (smtp_server)");
        }
        let outcome = self.store.operate(caller.into_operation(), move |tx| {
            Box::pin(async move {
                let asked = password_reset::ask(tx, &body.email, mail, &mut attempt).await;
                settle(tx, asked.map(Payload::Empty), &attempt).await
            })
        });
        finish(outcome.await)
    }

    pub(super) async fn password_reset_start(&self, caller: Caller, body: PasswordResetStartRequest) -> Reply {
        let mut attempt = caller.attempt()?;
        let token = self.known_reset_token(Some(body.token), &attempt).await?;
        let outcome = self.store.operate(caller.into_operation(), move |tx| {
            Box::pin(async move {
                let started = password_reset::start(tx, &token, &mut attempt).await;
                let result = started.map(|ends_at| {
                    let deadline_timestamp = ends_at.as_unix();
                    Payload::PasswordResetStart(PasswordResetStartResponse { deadline_timestamp })
                });
                settle(tx, result, &attempt).await
            })
        });
        finish(outcome.await)
    }

    pub(super) async fn password_reset(&self, caller: Caller, body: PasswordResetRequest) -> Reply {
        let mut attempt = caller.attempt()?;
        let choice = Choice {
            token: self.known_reset_token(body.token, &attempt).await?,
            password: Password::new(body.password),
            context: vec![self.instance.name.clone()],
        };
        let prepared = choice.prepare(&self.store, &self.passwords).await.map_err(|error| error.rejection())?;
        let mail = self.instance.mail;
        let outcome = self.store.operate(caller.into_operation(), move |tx| {
            Box::pin(async move {
                let reset = password_reset::reset(tx, prepared, mail, &mut attempt).await;
                settle(tx, reset.map(Payload::Empty), &attempt).await
            })
        });
        finish(outcome.await)
    }

    /// Strangers are sent away here, for the price of one read.
    async fn known_reset_token(&self, shown: Option<String>, attempt: &Attempt) -> Result<Token, Rejection> {
        let error = match TokenError::parse(shown) {
            Err(error) => error,
            Ok(token) => match password_reset::is_known(&self.store, &token).await {
                Ok(true) => return Ok(token),
                Ok(false) => TokenError::Invalid,
                Err(error) => return Err(error.rejection()),
            },
        };
        Err(self.refuse_stranger(&error, attempt).await)
    }
}
