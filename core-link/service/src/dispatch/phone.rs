//! Phones: registering their keys, and waiting for their approval.

use std::time::Duration;

use postern_core_link::Reply;
use postern_proto::{
    client_types::RegisterMobileAuthRequest,
    proxy::{AwaitRemoteMfaFinishRequest, AwaitRemoteMfaFinishResponse, core_response::Payload},
};

use super::{
    Dispatcher,
    caller::Caller,
    reject::{self, Refusal as _},
    reply::{finish, settle},
};
use crate::{
    device::PublicKey,
    mfa::{
        PhoneKey,
        approval::{self, AwaitError},
        phone::{self, Registration},
    },
    token::Token,
};

/// For the answer that nobody approved, which would not be sent any more at the deadline itself.
const REPLY_TIME: Duration = Duration::from_millis(250);

impl Dispatcher {
    pub(super) async fn register_mobile_auth(&self, caller: Caller, body: RegisterMobileAuthRequest) -> Reply {
        let mut attempt = caller.anonymous_attempt();
        let token = self.known_token(Some(body.token), &attempt).await?;
        let key = PhoneKey::parse(&body.auth_pub_key).map_err(|_| reject::invalid_key())?;
        let device = PublicKey::parse(&body.device_pub_key).map_err(|error| error.rejection())?;
        let shown = Registration { token, device, key, mail: self.instance.mail };
        let outcome = self.store.operate(caller.into_operation(), move |tx| {
            Box::pin(async move {
                let registered = phone::register(tx, &shown, &mut attempt).await;
                settle(tx, registered.map(|()| Payload::Empty(())), &attempt).await
            })
        });
        finish(outcome.await)
    }

    /// Not an operation: a repeat waits in place of the first, or gets the same result.
    pub(super) async fn await_remote_mfa_finish(&self, caller: Caller, body: AwaitRemoteMfaFinishRequest) -> Reply {
        let until = caller.deadline() - REPLY_TIME;
        let approved = match Token::parse(body.token) {
            Ok(token) => approval::wait(&self.store, &self.approvals, &token, until).await,
            Err(_) => Err(AwaitError::InvalidToken),
        };
        let preshared_key = approved.map_err(|error| error.rejection())?.to_base64().to_string();
        Ok(Payload::AwaitRemoteMfaFinish(AwaitRemoteMfaFinishResponse { preshared_key }))
    }
}
