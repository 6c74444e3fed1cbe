//! The end of a login: one code, counted before it is looked at, and a key for the tunnel.

use std::time::Duration;

use super::super::{
    Code, PresharedKey, SealedSeed, Side, Standings, Throttled, Whereabouts, attempts, familiar, recovery,
};
use crate::{
    activity::{Attempt, Factor},
    clock::Timestamp,
    device::DeviceId,
    location::{LocationId, MfaMode},
    person::PersonId,
    store::{Store, StoreError, Tx},
    token::Token,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoginSessionId(pub(crate) i64);

/// A login under way, as stored, with everything about its person and place that may have changed since it began.
#[derive(Debug, Clone)]
pub struct LoginSession {
    pub id: LoginSessionId,
    pub device: DeviceId,
    pub location: LocationId,
    pub location_name: String,
    pub expires_at: Timestamp,
    pub mfa_mode: MfaMode,
    pub person: PersonId,
    pub login: String,
    pub person_is_disabled: bool,
    /// The device has an address in the location.
    pub has_access: bool,
    /// `None`: the person has no factor.
    pub sealed_seed: Option<SealedSeed>,
    pub standings: Standings,
    /// When this network was last seen with the person.
    pub network_seen_at: Option<Timestamp>,
}

/// What a client shows at the end of a login.
#[derive(Debug, Clone)]
pub struct ShownLogin {
    pub token: Token,
    pub code: Code,
    pub whereabouts: Whereabouts,
}

/// A passed login.
#[derive(Debug)]
pub struct Authorised {
    pub preshared_key: PresharedKey,
}

#[derive(Debug, thiserror::Error)]
pub enum FinishError {
    /// Not one of ours, or its time is over.
    #[error("invalid token")]
    InvalidToken,
    /// Unknown, or finished.
    #[error("login session not found")]
    SessionUnknown,
    #[error("no code was shown")]
    NoCode,
    #[error("MFA not enabled for location")]
    MfaOff,
    #[error("the location wants another method by now")]
    OtherMode,
    #[error("user is disabled")]
    Disabled,
    #[error("the device has no access to the location")]
    NoAccess,
    #[error("the factor was taken away")]
    NoFactor,
    #[error(transparent)]
    Throttled(#[from] Throttled),
    /// Counted, so it must stay.
    #[error("wrong code")]
    WrongCode,
    /// Counted, so it must stay.
    #[error("the code, or a newer one, was used before")]
    CodeUsed,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The first look, by a reader: whoever is refused here never reaches the writer.
pub async fn may_finish(
    store: &Store,
    shown: ShownLogin,
    mut attempt: Attempt,
) -> Result<(Attempt, Option<FinishError>), StoreError> {
    store
        .read(|tx| {
            Box::pin(async move {
                match admit(tx, &shown, &mut attempt).await {
                    Ok(_) => Ok((attempt, None)),
                    Err(FinishError::Store(error)) => Err(error),
                    Err(refusal) => Ok((attempt, Some(refusal))),
                }
            })
        })
        .await
}

/// Lets the device in for `lifetime`, if the code is right.
pub async fn finish(
    tx: &mut Tx,
    shown: &ShownLogin,
    lifetime: Duration,
    attempt: &mut Attempt,
) -> Result<Authorised, FinishError> {
    let (session, side) = admit(tx, shown, attempt).await?;
    match shown.code.factor() {
        Some(Factor::Totp) => accept_code(tx, &session, side, &shown.code).await?,
        Some(Factor::RecoveryCode) => accept_recovery_code(tx, &session, side, &shown.code).await?,
        None => {
            attempts::count::<FinishError>(tx, session.person, side).await?;
            return Err(FinishError::WrongCode);
        }
    }
    let preshared_key = PresharedKey::random();
    tx.pass_login(&session, &preshared_key, tx.now().after(lifetime)).await?;
    familiar::learn(tx, session.person, shown.whereabouts.network, session.network_seen_at).await?;
    tx.record(&attempt.done().with_detail(describe(&session, shown.code.factor()))).await?;
    Ok(Authorised { preshared_key })
}

async fn admit(tx: &mut Tx, shown: &ShownLogin, attempt: &mut Attempt) -> Result<(LoginSession, Side), FinishError> {
    let digest = shown.token.digest(tx.sealer());
    let session = tx.login(&digest, shown.whereabouts.network).await?.ok_or(FinishError::SessionUnknown)?;
    attempt.is_by(&session.login);
    shown.code.factor().into_iter().for_each(|factor| attempt.shows(factor));
    let now = tx.now();
    if session.expires_at <= now {
        return Err(FinishError::InvalidToken);
    }
    match session.mfa_mode {
        MfaMode::Internal => {}
        MfaMode::Disabled => return Err(FinishError::MfaOff),
        MfaMode::External => return Err(FinishError::OtherMode),
    }
    if session.person_is_disabled {
        return Err(FinishError::Disabled);
    }
    if !session.has_access {
        return Err(FinishError::NoAccess);
    }
    if session.sealed_seed.is_none() {
        return Err(FinishError::NoFactor);
    }
    if shown.code.is_empty() {
        return Err(FinishError::NoCode);
    }
    let side = shown.whereabouts.side(session.person, session.network_seen_at, now);
    if let Err(throttled) = session.standings.check(side, now)
        && !recovery::is_unspent(tx, session.person, &shown.code).await?
    {
        return Err(throttled.into());
    }
    Ok((session, side))
}

async fn accept_code(tx: &mut Tx, session: &LoginSession, side: Side, code: &Code) -> Result<(), FinishError> {
    attempts::count::<FinishError>(tx, session.person, side).await?;
    let sealed = session.sealed_seed.as_ref().ok_or(FinishError::NoFactor)?;
    let seed = tx.open_authenticator_seed(session.person, sealed)?;
    let step = seed.step_of(code, tx.now()).ok_or(FinishError::WrongCode)?;
    if tx.accept_step(session.person, side, step).await? { Ok(()) } else { Err(FinishError::CodeUsed) }
}

/// Counted as every other attempt, but no delay and no lock keeps a right one out: nobody guesses 95 bits, and so a
/// person has a way past whoever guesses behind the very same address.
async fn accept_recovery_code(tx: &mut Tx, session: &LoginSession, side: Side, code: &Code) -> Result<(), FinishError> {
    let counted = attempts::count::<FinishError>(tx, session.person, side).await;
    if let Err(FinishError::Store(error)) = counted {
        return Err(error.into());
    }
    if !recovery::spend(tx, session.person, code).await? {
        counted?;
        return Err(FinishError::WrongCode);
    }
    Ok(tx.forgive_attempts(session.person, side).await?)
}

fn describe(session: &LoginSession, factor: Option<Factor>) -> String {
    let factor = match factor {
        Some(Factor::RecoveryCode) => "recovery code",
        Some(Factor::Totp) | None => "totp",
    };
    format!("{factor}; device {} at {}", session.device.as_i64(), session.location_name)
}
