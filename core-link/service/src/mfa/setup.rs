//! Setting up an authenticator app, in an open enrollment session.
//!
//! Answers get lost, so begun again in its session a set-up gives the same seed, and after a finish a new one; codes of
//! a seed that nobody saw lead nowhere. Once the person is activated, or in any other session, a confirmed factor stays.

use super::{Code, RecoveryCode, Seed, Throttled, Whereabouts, attempts, familiar, recovery};
use crate::{
    activity::{Attempt, Factor},
    enrollment::{EnrollmentTokenId, PersonSession, TokenError, person_session},
    mail::{self, MailUse, Message},
    store::{Store, StoreError, Tx},
    token::Token,
};

/// How far a person's set-up has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetupState {
    pub has_factor: bool,
    /// The session in which the factor was confirmed; not known any more when the session is long over, or when the
    /// person was activated after it, in whatever session.
    pub confirmed_in: Option<EnrollmentTokenId>,
    /// The session in which a set-up was begun and not finished.
    pub pending_in: Option<EnrollmentTokenId>,
}

/// This person cannot set up a factor in this session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Ineligible {
    #[error("user is disabled")]
    Disabled,
    #[error("user is enrolled with a factor")]
    Enrolled,
    #[error("a factor was confirmed in another session")]
    HasFactor,
}

/// What a client shows at the end of a set-up.
#[derive(Debug, Clone)]
pub struct Confirmation {
    pub token: Token,
    pub code: Code,
    pub whereabouts: Whereabouts,
    /// Whether the person is told.
    pub mail: MailUse,
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    Ineligible(#[from] Ineligible),
    #[error("too many mails were sent; try again later")]
    TooManyMails,
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug, thiserror::Error)]
pub enum FinishError {
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    Ineligible(#[from] Ineligible),
    #[error("a factor is confirmed and no set-up was begun after it")]
    AlreadyConfirmed,
    #[error("no set-up was begun")]
    NotBegun,
    #[error(transparent)]
    Throttled(#[from] Throttled),
    /// Counted, so it must stay.
    #[error("wrong code")]
    WrongCode,
    /// Counted, so it must stay.
    #[error("wrong code by e-mail, or one that is over")]
    WrongMailCode,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A seed for the person's app.
pub async fn start(tx: &mut Tx, token: &Token, attempt: &mut Attempt) -> Result<Seed, StartError> {
    let session = person_session::<StartError>(tx, token, attempt).await?;
    let person = session.person.id;
    let state = check_all::<StartError>(tx, &session).await?;
    let is_pending = state.is_some_and(|state| state.pending_in == Some(session.id));
    let pending = if is_pending { tx.pending_seed(person).await? } else { None };
    let seed = match pending {
        Some(seed) => seed,
        None => {
            let seed = Seed::random();
            tx.begin_setup(person, session.id, &seed).await?;
            seed
        }
    };
    tx.record(&attempt.done()).await?;
    Ok(seed)
}

/// The first look, by a reader: whoever is refused here never reaches the writer.
pub async fn may_finish(
    store: &Store,
    shown: Confirmation,
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

/// Confirms the factor by a first code, and gives recovery codes in place of all older ones.
pub async fn finish(
    tx: &mut Tx,
    shown: &Confirmation,
    attempt: &mut Attempt,
) -> Result<Vec<RecoveryCode>, FinishError> {
    // Whoever holds the token of an enrollment is familiar wherever they are.
    let side = shown.whereabouts.proven_side();
    let session = admit(tx, shown, attempt).await?;
    let person = session.person.id;
    attempts::count::<FinishError>(tx, person, side).await?;
    let seed = tx.pending_seed(person).await?.ok_or(FinishError::NotBegun)?;
    let step = seed.step_of(&shown.code, tx.now()).ok_or(FinishError::WrongCode)?;
    tx.confirm_setup(person, session.id, &seed, step).await?;
    Ok(conclude(tx, &session, shown, "authenticator app", attempt).await?)
}

async fn admit(tx: &mut Tx, shown: &Confirmation, attempt: &mut Attempt) -> Result<PersonSession, FinishError> {
    attempt.shows(Factor::Totp);
    let session = person_session::<FinishError>(tx, &shown.token, attempt).await?;
    let Some(state) = check_all::<FinishError>(tx, &session).await? else { return Err(FinishError::NotBegun) };
    check_begun(tx, &session, &state, shown).await?;
    Ok(session)
}

/// That this session's set-up, of whichever kind, was begun, and that nobody tried too often.
pub(super) async fn check_begun(
    tx: &mut Tx,
    session: &PersonSession,
    state: &SetupState,
    shown: &Confirmation,
) -> Result<(), FinishError> {
    match (state.pending_in, state.has_factor) {
        (Some(begun_in), _) if begun_in == session.id => {}
        (_, true) => return Err(FinishError::AlreadyConfirmed),
        (_, false) => return Err(FinishError::NotBegun),
    }
    let side = shown.whereabouts.proven_side();
    Ok(tx.standings(session.person.id, side.network()).await?.check(side, tx.now())?)
}

/// What follows a confirmation of whichever kind: the failures before it are forgotten, recovery codes take the place
/// of all older ones, and the person is told.
pub(super) async fn conclude(
    tx: &mut Tx,
    session: &PersonSession,
    shown: &Confirmation,
    factor: &str,
    attempt: &Attempt,
) -> Result<Vec<RecoveryCode>, StoreError> {
    let person = session.person.id;
    tx.forgive_attempts(person, shown.whereabouts.proven_side()).await?;
    let codes = recovery::replace(tx, person).await?;
    familiar::learn(tx, person, shown.whereabouts.network, None).await?;
    let message = Message::FactorAdded { factor: factor.to_owned(), at: tx.now() };
    mail::notify(tx, shown.mail, &session.person, message).await?;
    tx.record(&attempt.done()).await?;
    Ok(codes)
}

/// The state of the app's set-up, if no factor of either kind stands in the way of another.
pub(super) async fn check_all<E>(tx: &mut Tx, session: &PersonSession) -> Result<Option<SetupState>, E>
where
    E: From<Ineligible> + From<StoreError>,
{
    let state = tx.setup_state(session.person.id).await?;
    check(session, state.as_ref())?;
    check(session, tx.mail_setup_state(session.person.id).await?.as_ref())?;
    Ok(state)
}

fn check(session: &PersonSession, state: Option<&SetupState>) -> Result<(), Ineligible> {
    if session.person.is_disabled {
        return Err(Ineligible::Disabled);
    }
    let Some(state) = state.filter(|state| state.has_factor) else { return Ok(()) };
    if state.confirmed_in == Some(session.id) && !session.has_activated {
        return Ok(());
    }
    Err(if session.person.is_enrolled { Ineligible::Enrolled } else { Ineligible::HasFactor })
}
