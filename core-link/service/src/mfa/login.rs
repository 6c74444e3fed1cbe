//! Logins: a device asks for a location with MFA, and its person shows a code.
//!
//! To begin takes no secret, only the device's public key, so a beginning tells nothing, replaces nothing and is not
//! recorded. Sessions live in the store for five minutes; whoever holds one's token may finish it.

mod finish;

use std::time::Duration;

pub use finish::{Authorised, FinishError, LoginSession, LoginSessionId, ShownLogin, finish, may_finish};

use super::{Side, Whereabouts};
use crate::{
    activity::Attempt,
    clock::Timestamp,
    device::{DeviceId, PublicKey},
    location::{LocationId, MfaMode},
    person::PersonId,
    store::{Store, StoreError, Tx},
    token::Token,
};

const SESSION_LIFETIME: Duration = Duration::from_mins(5);
/// For each device and side. A stranger who begins many pushes out only what was begun elsewhere.
const SESSIONS_MAX: u32 = 16;

/// How a person wants to prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Totp,
    Email,
    OpenId,
    Biometric,
    MobileApproval,
}

/// What a device asks for.
#[derive(Debug, Clone)]
pub struct LoginRequest {
    pub location: LocationId,
    /// `None`: what was sent is no key, so no device has it.
    pub key: Option<PublicKey>,
    /// `None`: a method that nobody knows.
    pub method: Option<Method>,
}

/// The location that a login is for, and the device that asks, as stored.
#[derive(Debug, Clone)]
pub struct LoginPlace {
    pub mfa_mode: MfaMode,
    pub device: Option<LoginDevice>,
}

#[derive(Debug, Clone)]
pub struct LoginDevice {
    pub id: DeviceId,
    /// `None`: a host, which has nobody to show a code.
    pub owner: Option<(PersonId, String)>,
    pub owner_is_disabled: bool,
    pub owner_is_enrolled: bool,
    pub has_factor: bool,
    /// The device has an address in the location.
    pub has_access: bool,
    /// When this network was last seen with the owner.
    pub network_seen_at: Option<Timestamp>,
}

/// A login under way.
#[derive(Debug)]
pub struct Login {
    pub token: Token,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MethodError {
    #[error("unknown method")]
    Unknown,
    #[error("the location does not take this method")]
    NotHere,
    #[error("the person has not set up this method")]
    NotSetUp,
    #[error("the device has not set up this method")]
    NotOnDevice,
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("location not found")]
    LocationUnknown,
    #[error("MFA not enabled for location")]
    MfaOff,
    #[error("device not found")]
    DeviceUnknown,
    #[error("a host cannot log in")]
    Host,
    #[error("user is disabled")]
    Disabled,
    #[error("the device has no access to the location")]
    NoAccess,
    #[error(transparent)]
    Method(#[from] MethodError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A login's token cannot be one of ours, or its time is over.
#[derive(Debug, thiserror::Error)]
pub enum ValidateError {
    #[error("invalid token")]
    Invalid,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The first look, by a reader: whoever is refused here never reaches the writer.
pub async fn may_start(
    store: &Store,
    request: LoginRequest,
    whereabouts: Whereabouts,
    mut attempt: Attempt,
) -> Result<(Attempt, Option<StartError>), StoreError> {
    store
        .read(|tx| {
            Box::pin(async move {
                match admit(tx, &request, &whereabouts, &mut attempt).await {
                    Ok(_) => Ok((attempt, None)),
                    Err(StartError::Store(error)) => Err(error),
                    Err(refusal) => Ok((attempt, Some(refusal))),
                }
            })
        })
        .await
}

/// Begins a login.
pub async fn start(
    tx: &mut Tx,
    request: &LoginRequest,
    whereabouts: &Whereabouts,
    attempt: &mut Attempt,
) -> Result<Login, StartError> {
    let (device, side) = admit(tx, request, whereabouts, attempt).await?;
    let token = Token::random();
    let digest = token.digest(tx.sealer());
    let expires_at = tx.now().after(SESSION_LIFETIME);
    tx.insert_login(&digest, (device, request.location), side, (expires_at, SESSIONS_MAX)).await?;
    Ok(Login { token })
}

/// Whether this token's login is still open.
pub async fn is_valid(store: &Store, token: &Token) -> Result<bool, ValidateError> {
    let digest = token.digest(store.sealer());
    let session: Option<LoginSession> =
        store.read::<_, StoreError, _>(|tx| Box::pin(async move { tx.login(&digest, None).await })).await?;
    match session {
        Some(session) if session.expires_at <= store.now() => Err(ValidateError::Invalid),
        Some(_) => Ok(true),
        None => Ok(false),
    }
}

async fn admit(
    tx: &mut Tx,
    request: &LoginRequest,
    whereabouts: &Whereabouts,
    attempt: &mut Attempt,
) -> Result<(DeviceId, Side), StartError> {
    let place = tx.login_place(request.location, request.key.as_ref(), whereabouts.network).await?;
    let place = place.ok_or(StartError::LocationUnknown)?;
    if place.mfa_mode == MfaMode::Disabled {
        return Err(StartError::MfaOff);
    }
    let device = place.device.ok_or(StartError::DeviceUnknown)?;
    let Some((person, login)) = &device.owner else { return Err(StartError::Host) };
    attempt.is_by(login);
    if device.owner_is_disabled {
        return Err(StartError::Disabled);
    }
    if !device.has_access {
        return Err(StartError::NoAccess);
    }
    check_method(request.method, place.mfa_mode, &device)?;
    let side = whereabouts.side(*person, device.network_seen_at, tx.now());
    Ok((device.id, side))
}

fn check_method(method: Option<Method>, mode: MfaMode, device: &LoginDevice) -> Result<(), MethodError> {
    let is_ready = device.owner_is_enrolled && device.has_factor;
    match (method.ok_or(MethodError::Unknown)?, mode) {
        (Method::Totp, MfaMode::Internal) if is_ready => Ok(()),
        (Method::Totp | Method::Email, MfaMode::Internal) => Err(MethodError::NotSetUp),
        (Method::Biometric | Method::MobileApproval, MfaMode::Internal) => Err(MethodError::NotOnDevice),
        (Method::OpenId, MfaMode::External) => Err(MethodError::NotSetUp),
        (Method::OpenId, MfaMode::Internal) | (_, MfaMode::External | MfaMode::Disabled) => Err(MethodError::NotHere),
    }
}
