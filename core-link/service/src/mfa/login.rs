//! Logins: a device asks for a location with MFA, and its person shows a code.
//!
//! To begin takes no secret, only the device's public key, so a beginning tells nothing, replaces nothing and is not
//! recorded. Sessions live in the store for five minutes; whoever holds one's token may finish it.

mod finish;
mod mailed;
mod openid;
mod signed;

use std::time::Duration;

pub use finish::{Authorised, FinishError, LoginSession, LoginSessionId, ShownLogin, finish, may_finish};
pub use openid::{AuthenticateError, authenticate, may_authenticate};

use super::{Side, Whereabouts};
use crate::{
    activity::Attempt,
    clock::Timestamp,
    device::{DeviceId, PublicKey},
    location::{LocationId, MfaMode},
    person::PersonId,
    posture::Report,
    store::{Isolation, Store, StoreError, Tx},
    token::{Token, TokenDigest},
};

const SESSION_LIFETIME: Duration = Duration::from_mins(5);
/// For each device and side. A stranger who begins many pushes out only what was begun elsewhere.
const SESSIONS_MAX: u32 = 16;

/// How long the result of an approved login may be fetched again, in case the first reply was lost.
pub(crate) const RESULT_KEPT: Duration = Duration::from_secs(10);

/// How a person wants to prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Totp,
    Email,
    OpenId,
    Biometric,
    MobileApproval,
}

impl Method {
    pub(crate) fn parse(stored: &str) -> Option<Self> {
        let all = [Self::Totp, Self::Email, Self::OpenId, Self::Biometric, Self::MobileApproval];
        all.into_iter().find(|method| method.as_str() == stored)
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Totp => "totp",
            Self::Email => "email",
            Self::OpenId => "openid",
            Self::Biometric => "biometric",
            Self::MobileApproval => "mobile_approval",
        }
    }
}

/// What a device asks for.
#[derive(Debug, Clone)]
pub struct LoginRequest {
    pub location: LocationId,
    /// `None`: what was sent is no key, so no device has it.
    pub key: Option<PublicKey>,
    /// `None`: a method that nobody knows.
    pub method: Option<Method>,
    /// A code by e-mail is accepted.
    pub has_mail_codes: bool,
    /// There is an OpenID provider to sign in at.
    pub has_openid: bool,
    /// What the device tells about itself, where that is asked for.
    pub posture: Option<Report>,
}

impl LoginRequest {
    /// A beginning decides nothing: its one statement keeps a row, and [`finish`] looks at everything again, as if the login
    /// had begun then. So beginnings need not be told apart from each other, who all look where the others write. Not where
    /// a mail goes out, whose number is limited.
    pub(crate) fn isolation(&self) -> Isolation {
        match self.method {
            Some(Method::Totp | Method::OpenId | Method::Biometric | Method::MobileApproval) => Isolation::Statements,
            Some(Method::Email) | None => Isolation::Serial,
        }
    }
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
    pub has_mail_factor: bool,
    /// The device has the key of a phone.
    pub has_phone_key: bool,
    /// The owner has a device that does.
    pub owner_has_phone: bool,
    /// The device has an address in the location.
    pub has_access: bool,
    /// When this network was last seen with the owner.
    pub network_seen_at: Option<Timestamp>,
}

/// A login, before it is kept.
#[derive(Debug)]
pub struct NewLogin {
    pub token: TokenDigest,
    pub device: DeviceId,
    pub location: LocationId,
    pub method: Method,
    pub side: Side,
    pub posture: Option<Report>,
    pub expires_at: Timestamp,
}

/// A login under way.
#[derive(Debug)]
pub struct Login {
    pub token: Token,
    pub method: Method,
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
    #[error("too many mails were sent; try again later")]
    TooManyMails,
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
    let Admitted { device, person, owner, method, side, has_counter } =
        admit(tx, request, whereabouts, attempt).await?;
    let token = Token::random();
    let login = NewLogin {
        token: token.digest(tx.sealer()),
        device,
        location: request.location,
        method,
        side,
        posture: request.posture.clone(),
        expires_at: tx.now().after(SESSION_LIFETIME),
    };
    // In the order of an attempt, so that no two wait for each other. Of the other methods only what is wrong is counted.
    let is_counted = matches!(method, Method::Totp | Method::Email);
    if let (Side::Familiar(network), true, false) = (side, is_counted, has_counter) {
        tx.expect_familiar_attempt(person, network).await?;
    }
    tx.insert_login(&login, SESSIONS_MAX).await?;
    if method == Method::Email {
        mailed::send(tx, &login, &owner).await?;
    }
    Ok(Login { token, method })
}

/// Whether this token's login is still open.
pub async fn is_valid(store: &Store, token: &Token) -> Result<bool, ValidateError> {
    let digest = token.digest(store.sealer());
    let session: Option<LoginSession> =
        store.read::<_, StoreError, _>(|tx| Box::pin(async move { tx.login(&digest, None).await })).await?;
    match session {
        Some(session) if session.expires_at <= store.now() => Err(ValidateError::Invalid),
        Some(session) => Ok(!session.is_over(store.now())),
        None => Ok(false),
    }
}

struct Admitted {
    device: DeviceId,
    person: PersonId,
    /// Login name of the device's person.
    owner: String,
    method: Method,
    side: Side,
    /// Attempts from this network are counted already.
    has_counter: bool,
}

async fn admit(
    tx: &mut Tx,
    request: &LoginRequest,
    whereabouts: &Whereabouts,
    attempt: &mut Attempt,
) -> Result<Admitted, StartError> {
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
    let method = check_method(request, place.mfa_mode, &device)?;
    let side = whereabouts.side(*person, device.network_seen_at, tx.now());
    let (person, has_counter) = (*person, device.network_seen_at.is_some());
    Ok(Admitted { device: device.id, person, owner: login.clone(), method, side, has_counter })
}

fn check_method(request: &LoginRequest, mode: MfaMode, device: &LoginDevice) -> Result<Method, MethodError> {
    let is_ready = device.owner_is_enrolled && device.has_factor;
    let method = request.method.ok_or(MethodError::Unknown)?;
    match (method, mode) {
        (Method::Totp, MfaMode::Internal) if is_ready => Ok(method),
        (Method::Email, MfaMode::Internal)
            if device.owner_is_enrolled && device.has_mail_factor && request.has_mail_codes =>
        {
            Ok(method)
        }
        (Method::Totp | Method::Email, MfaMode::Internal) => Err(MethodError::NotSetUp),
        (Method::Biometric, MfaMode::Internal) if device.owner_is_enrolled && device.has_phone_key => Ok(method),
        (Method::Biometric, MfaMode::Internal) => Err(MethodError::NotOnDevice),
        (Method::MobileApproval, MfaMode::Internal) if device.owner_is_enrolled && device.owner_has_phone => Ok(method),
        (Method::MobileApproval, MfaMode::Internal) => Err(MethodError::NotSetUp),
        (Method::OpenId, MfaMode::External) if device.owner_is_enrolled && request.has_openid => Ok(method),
        (Method::OpenId, MfaMode::External) => Err(MethodError::NotSetUp),
        (Method::OpenId, MfaMode::Internal) | (_, MfaMode::External | MfaMode::Disabled) => Err(MethodError::NotHere),
    }
}
