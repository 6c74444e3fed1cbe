//! Enrollment: start, devices, activation.

use std::sync::Arc;

use postern_core_link::Reply;
use postern_proto::{
    client_types::{ActivateUserRequest, EnrollmentStartRequest, ExistingDevice, NewDevice},
    proxy::core_response::Payload,
    rejection::Rejection,
};

use super::{
    Dispatcher,
    caller::Caller,
    reject::Refusal as _,
    reply::{finish, settle},
    wire,
};
use crate::{
    activity::Attempt,
    device::{self, DeviceName, PublicKey},
    enrollment::{self, Activation, RequiredSteps, TokenError},
    password::Password,
    person::parse_phone,
    token::Token,
};

impl Dispatcher {
    pub(super) async fn enrollment_start(&self, caller: Caller, body: EnrollmentStartRequest) -> Reply {
        let mut attempt = caller.attempt()?;
        let token = self.known_token(Some(body.token), &attempt).await?;
        let instance = Arc::clone(&self.instance);
        let outcome = self.store.operate(caller.into_operation(), move |tx| {
            Box::pin(async move {
                let started = enrollment::start(tx, &token, &mut attempt).await;
                let result = started.map(|session| Payload::EnrollmentStart(wire::session(&instance, session)));
                settle(tx, result, &attempt).await
            })
        });
        finish(outcome.await)
    }

    pub(super) async fn new_device(&self, caller: Caller, body: NewDevice) -> Reply {
        let mut attempt = caller.attempt()?;
        let token = self.known_token(body.token, &attempt).await?;
        let name = DeviceName::parse_optional(&body.name);
        let key = PublicKey::parse(&body.pubkey).map_err(|error| error.rejection())?;
        let name = name.map_err(|error| error.rejection())?;
        let instance = Arc::clone(&self.instance);
        let outcome = self.store.operate(caller.into_operation(), move |tx| {
            Box::pin(async move {
                let added = device::add(tx, &token, name.as_ref(), &key, &mut attempt).await;
                let result = added.map(|handover| Payload::DeviceConfig(wire::handover(&instance, handover)));
                settle(tx, result, &attempt).await
            })
        });
        finish(outcome.await)
    }

    pub(super) async fn existing_device(&self, caller: Caller, body: ExistingDevice) -> Reply {
        let mut attempt = caller.attempt()?;
        let token = self.known_token(body.token, &attempt).await?;
        let key = PublicKey::parse(&body.pubkey).map_err(|error| error.rejection())?;
        let instance = Arc::clone(&self.instance);
        let outcome = self.store.operate(caller.into_operation(), move |tx| {
            Box::pin(async move {
                let handed = device::hand_over(tx, &token, &key, &mut attempt).await;
                let result = handed.map(|handover| Payload::DeviceConfig(wire::handover(&instance, handover)));
                settle(tx, result, &attempt).await
            })
        });
        finish(outcome.await)
    }

    pub(super) async fn activate_user(&self, caller: Caller, body: ActivateUserRequest) -> Reply {
        let mut attempt = caller.attempt()?;
        let activation = Activation {
            token: self.known_token(body.token, &attempt).await?,
            password: Password::new(body.password),
            phone: parse_phone(body.phone_number.as_deref().unwrap_or_default()),
            context: vec![self.instance.name.clone()],
            required: RequiredSteps { factor: self.instance.mfa_required, device: !self.instance.vpn_setup_optional },
        };
        let prepared = activation.prepare(&self.store, &self.passwords).await.map_err(|error| error.rejection())?;
        let outcome = self.store.operate(caller.into_operation(), move |tx| {
            Box::pin(async move {
                let activated = enrollment::activate(tx, prepared, &mut attempt).await;
                settle(tx, activated.map(Payload::Empty), &attempt).await
            })
        });
        finish(outcome.await)
    }

    /// Strangers are sent away here, for the price of one read: they never reach the writer's queue or Argon2.
    pub(super) async fn known_token(&self, shown: Option<String>, attempt: &Attempt) -> Result<Token, Rejection> {
        let error = match TokenError::parse(shown) {
            Err(error) => error,
            Ok(token) => match enrollment::is_known(&self.store, &token).await {
                Ok(true) => return Ok(token),
                Ok(false) => TokenError::Invalid,
                Err(error) => return Err(error.rejection()),
            },
        };
        Err(self.refuse_stranger(&error, attempt).await)
    }
}
