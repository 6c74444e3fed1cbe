//! The end of a login: one code, counted before it is looked at, and a key for the tunnel.

use std::{sync::Arc, time::Duration};

use super::super::{
    Code, PresharedKey, SealedSeed, Side, Standings, Throttled, Whereabouts, approval::Approvals, attempts, familiar,
    recovery,
};
use super::{Method, RESULT_KEPT, mailed, signed};
use crate::{
    activity::{Attempt, Factor},
    changes::Topic,
    clock::Timestamp,
    device::DeviceId,
    instance::InstanceId,
    location::{LocationId, MfaMode},
    person::PersonId,
    posture::{self, Report},
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
    /// What it is to be passed with.
    pub method: Method,
    /// Its person signed in at the OpenID provider.
    pub has_passed_openid: bool,
    /// Its result waits to be fetched, or was.
    pub is_approved: bool,
    /// When its result was first fetched.
    pub delivered_at: Option<Timestamp>,
    /// What the device told about itself when it began.
    pub posture: Option<Report>,
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
    /// The key of the phone that approves, as it was shown.
    pub phone_key: Option<String>,
    /// Which installation a challenge must name.
    pub instance: InstanceId,
    pub whereabouts: Whereabouts,
}

/// A passed login.
#[derive(Debug)]
pub struct Authorised {
    pub preshared_key: PresharedKey,
    pub method: Method,
}

impl LoginSession {
    /// Nothing can be done with it any more.
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        let is_delivered = self.delivered_at.is_some_and(|at| at.after(RESULT_KEPT) <= now);
        self.expires_at <= now || is_delivered
    }
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
    #[error("no key of a phone was shown")]
    NoPhoneKey,
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
    #[error("OIDC authentication not completed yet")]
    OpenIdPending,
    #[error(transparent)]
    Throttled(#[from] Throttled),
    /// Counted, so it must stay.
    #[error("wrong code")]
    WrongCode,
    /// Counted, so it must stay.
    #[error("wrong signature")]
    WrongSignature,
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
    approvals: &Arc<Approvals>,
    attempt: &mut Attempt,
) -> Result<Authorised, FinishError> {
    let Admitted { session, side, signer } = admit(tx, shown, attempt).await?;
    match session.method {
        Method::Biometric | Method::MobileApproval => signed::accept(tx, &session, side, signer).await?,
        // The browser has shown everything.
        Method::OpenId => {}
        Method::Totp | Method::Email => accept_typed(tx, &session, side, shown).await?,
    }
    let preshared_key = PresharedKey::random();
    let until = tx.now().after(lifetime);
    if session.method == Method::MobileApproval {
        tx.approve_login(&session, &preshared_key, until).await?;
        tx.announce(Topic::Approvals).await?;
        let (approvals, token) = (Arc::clone(approvals), shown.token.digest(tx.sealer()));
        tx.after_commit(move || approvals.wake(&token));
    } else {
        tx.pass_login(&session, &preshared_key, until).await?;
    }
    // With OpenID the secret was shown from the browser's network, and not from here.
    if session.method != Method::OpenId {
        familiar::learn(tx, session.person, shown.whereabouts.network, session.network_seen_at).await?;
    }
    if let Some(report) = &session.posture {
        posture::keep(tx, session.device, report, attempt).await?;
    }
    tx.record(&attempt.done().with_detail(describe(&session, signer, typed(session.method, &shown.code)))).await?;
    Ok(Authorised { preshared_key, method: session.method })
}

/// A login that may be finished now, if what is shown is right.
struct Admitted {
    session: LoginSession,
    side: Side,
    /// The phone that has signed.
    signer: Option<DeviceId>,
}

async fn admit(tx: &mut Tx, shown: &ShownLogin, attempt: &mut Attempt) -> Result<Admitted, FinishError> {
    let digest = shown.token.digest(tx.sealer());
    let session = tx.login(&digest, shown.whereabouts.network).await?.ok_or(FinishError::SessionUnknown)?;
    attempt.is_by(&session.login);
    let factor = signed::factor(session.method).or_else(|| typed(session.method, &shown.code));
    factor.into_iter().for_each(|factor| attempt.shows(factor));
    let now = tx.now();
    if session.expires_at <= now {
        return Err(FinishError::InvalidToken);
    }
    if session.is_approved {
        return Err(FinishError::SessionUnknown);
    }
    match (session.mfa_mode, session.method) {
        (MfaMode::Disabled, _) => return Err(FinishError::MfaOff),
        (MfaMode::External, Method::OpenId) => {}
        (MfaMode::Internal, Method::OpenId) | (MfaMode::External, _) => return Err(FinishError::OtherMode),
        (MfaMode::Internal, _) => {}
    }
    if session.person_is_disabled {
        return Err(FinishError::Disabled);
    }
    if !session.has_access {
        return Err(FinishError::NoAccess);
    }
    if session.method == Method::OpenId {
        let side = Side::Elsewhere;
        let is_over = session.has_passed_openid;
        return if is_over { Ok(Admitted { session, side, signer: None }) } else { Err(FinishError::OpenIdPending) };
    }
    if session.method == Method::Totp && session.sealed_seed.is_none() {
        return Err(FinishError::NoFactor);
    }
    if session.method == Method::Email && !tx.has_mail_factor(session.person).await? {
        return Err(FinishError::NoFactor);
    }
    if shown.code.is_empty() {
        return Err(FinishError::NoCode);
    }
    let signer = signed::signer(tx, &session, shown).await?;
    let side = shown.whereabouts.side(session.person, session.network_seen_at, now);
    if let Err(throttled) = session.standings.check(side, now)
        && signer.is_none()
        && !recovery::is_unspent(tx, session.person, &shown.code).await?
    {
        return Err(throttled.into());
    }
    Ok(Admitted { session, side, signer })
}

async fn accept_typed(tx: &mut Tx, session: &LoginSession, side: Side, shown: &ShownLogin) -> Result<(), FinishError> {
    let code = &shown.code;
    match typed(session.method, code) {
        Some(Factor::Totp) => accept_code(tx, session, side, code).await,
        Some(Factor::MailCode) => mailed::accept(tx, session, side, shown).await,
        Some(Factor::RecoveryCode) => accept_recovery_code(tx, session, side, code).await,
        Some(Factor::OpenId | Factor::Biometric | Factor::MobileApproval) | None => {
            attempts::count::<FinishError>(tx, session.person, side).await?;
            Err(FinishError::WrongCode)
        }
    }
}

/// Codes of an app and by e-mail look alike; which one is asked for, the login says.
fn typed(method: Method, code: &Code) -> Option<Factor> {
    match (method, code.factor()) {
        (Method::Email, Some(Factor::Totp)) => Some(Factor::MailCode),
        (_, factor) => factor,
    }
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

fn describe(session: &LoginSession, signer: Option<DeviceId>, typed: Option<Factor>) -> String {
    let factor = signed::factor(session.method).or(typed).unwrap_or(Factor::Totp);
    let place = format!("device {} at {}", session.device.as_i64(), session.location_name);
    match signer.filter(|signer| *signer != session.device) {
        Some(phone) => format!("{}; {place}; by device {}", factor.in_words(), phone.as_i64()),
        None => format!("{}; {place}", factor.in_words()),
    }
}
