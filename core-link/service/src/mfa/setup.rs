//! Setting up an authenticator app, in an open enrollment session.
//!
//! Answers get lost, so begun again in its session a set-up gives the same seed, and after a finish a new one; codes of
//! a seed that nobody saw lead nowhere. Once the person is activated, or in any other session, a confirmed factor stays.

use super::{Code, RecoveryCode, Seed, Side, Throttled, Whereabouts, attempts, familiar, recovery};
use crate::{
    activity::{Attempt, Factor},
    enrollment::{EnrollmentTokenId, PersonSession, TokenError, person_session},
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

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    Ineligible(#[from] Ineligible),
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
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A seed for the person's app.
pub async fn start(tx: &mut Tx, token: &Token, attempt: &mut Attempt) -> Result<Seed, StartError> {
    let session = person_session::<StartError>(tx, token, attempt).await?;
    let person = session.person.id;
    let state = tx.setup_state(person).await?;
    check(&session, state.as_ref())?;
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
    token: &Token,
    whereabouts: &Whereabouts,
    mut attempt: Attempt,
) -> Result<(Attempt, Option<FinishError>), StoreError> {
    let (token, side) = (token.clone(), whereabouts.proven_side());
    store
        .read(|tx| {
            Box::pin(async move {
                match admit(tx, &token, side, &mut attempt).await {
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
    token: &Token,
    code: &Code,
    whereabouts: &Whereabouts,
    attempt: &mut Attempt,
) -> Result<Vec<RecoveryCode>, FinishError> {
    // Whoever holds the token of an enrollment is familiar wherever they are.
    let side = whereabouts.proven_side();
    let session = admit(tx, token, side, attempt).await?;
    let person = session.person.id;
    attempts::count::<FinishError>(tx, person, side).await?;
    let seed = tx.pending_seed(person).await?.ok_or(FinishError::NotBegun)?;
    let step = seed.step_of(code, tx.now()).ok_or(FinishError::WrongCode)?;
    tx.confirm_setup(person, session.id, &seed, step).await?;
    tx.forgive_attempts(person, side).await?;
    let codes = recovery::replace(tx, person).await?;
    familiar::learn(tx, person, whereabouts.network, None).await?;
    tx.record(&attempt.done()).await?;
    Ok(codes)
}

async fn admit(tx: &mut Tx, token: &Token, side: Side, attempt: &mut Attempt) -> Result<PersonSession, FinishError> {
    attempt.shows(Factor::Totp);
    let session = person_session::<FinishError>(tx, token, attempt).await?;
    let state = tx.setup_state(session.person.id).await?;
    check(&session, state.as_ref())?;
    let Some(state) = state else { return Err(FinishError::NotBegun) };
    match (state.pending_in, state.has_factor) {
        (Some(begun_in), _) if begun_in == session.id => {}
        (_, true) => return Err(FinishError::AlreadyConfirmed),
        (_, false) => return Err(FinishError::NotBegun),
    }
    let network = if let Side::Familiar(network) = side { Some(network) } else { None };
    tx.standings(session.person.id, network).await?.check(side, tx.now())?;
    Ok(session)
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
