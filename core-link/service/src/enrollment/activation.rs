//! The last step of enrollment: the person chooses a password and is active.
//!
//! Argon2 must not run inside the writer, so the password is prepared first, and the transaction then decides with
//! what was prepared. A person is activated once; a repeat in the same session with the same password is a success.
//! Steps that the installation asks for come first; the transaction, not the client, knows whether they were taken.

use super::{PersonSession, TokenError, person_session};
use crate::{
    activity::Attempt,
    mfa,
    password::{Password, PasswordError, PasswordHash, Passwords, PreparedPassword, Verdict},
    person::{InvalidPhone, PersonId},
    store::{Store, StoreError, Tx},
    token::Token,
};

/// Repeats with another password, in one session. More is guessing.
const MISMATCHES_MAX: u32 = 5;

/// What a person asks for.
#[derive(Debug)]
pub struct Activation {
    pub token: Token,
    pub password: Password,
    pub phone: Result<Option<String>, InvalidPhone>,
    /// Words, besides the person's own, that make no password stronger.
    pub context: Vec<String>,
    pub required: RequiredSteps,
}

/// What a person must have done before the password.
#[derive(Debug, Clone, Copy)]
pub struct RequiredSteps {
    pub factor: bool,
    pub device: bool,
}

/// The part of an activation that is too slow for a transaction.
#[derive(Debug, Clone)]
pub struct Prepared {
    token: Token,
    phone: Result<Option<String>, InvalidPhone>,
    password: PreparedPassword,
    required: RequiredSteps,
}

#[derive(Debug, thiserror::Error)]
pub enum ActivateError {
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error("user is disabled")]
    Disabled,
    #[error(transparent)]
    Missing(#[from] MissingStep),
    #[error(transparent)]
    Phone(#[from] InvalidPhone),
    #[error("password not strong enough")]
    TooWeak,
    #[error("user already activated")]
    AlreadyActivated,
    /// Counted, so it must stay.
    #[error("user already activated with another password")]
    Mismatch,
    #[error("the person changed while the password was prepared")]
    Raced,
    #[error("cannot check the password")]
    Password(#[source] PasswordError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A required step that was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MissingStep {
    #[error("set up a second factor first")]
    Factor,
    #[error("add a device first")]
    Device,
}

impl Activation {
    /// Hashes the password, or compares it, as far as the token allows it: a stranger's costs nothing.
    pub async fn prepare(self, store: &Store, passwords: &Passwords) -> Result<Prepared, ActivateError> {
        let Self { token, password, phone, context, required } = self;
        let prepared = match known_session(store, &token, required).await? {
            None => Ok(PreparedPassword::NotNeeded),
            Some((session, None)) => passwords.prepare(password, context, session.person).await,
            Some((session, Some(hash))) if may_repeat(&session) => passwords.compare(password, hash).await,
            Some((_, Some(_))) => Ok(PreparedPassword::NotNeeded),
        };
        let password = prepared.map_err(ActivateError::Password)?;
        Ok(Prepared { token, phone, password, required })
    }
}

/// Activates the person whose session this is.
pub async fn activate(tx: &mut Tx, prepared: Prepared, attempt: &mut Attempt) -> Result<(), ActivateError> {
    let session = person_session::<ActivateError>(tx, &prepared.token, attempt).await?;
    let person = &session.person;
    if person.is_disabled {
        return Err(ActivateError::Disabled);
    }
    if person.is_enrolled {
        return repeat(tx, &session, prepared.password, attempt).await;
    }
    if let Some(missing) = missing_step(tx, person.id, prepared.required).await? {
        return Err(missing.into());
    }
    let phone = prepared.phone?;
    let hash = match prepared.password {
        PreparedPassword::New(hash) => hash,
        PreparedPassword::TooWeak => return Err(ActivateError::TooWeak),
        PreparedPassword::Compared { .. } | PreparedPassword::NotNeeded => return Err(ActivateError::Raced),
    };
    tx.activate_person(person.id, &hash, phone.as_deref()).await?;
    tx.mark_activated(session.id).await?;
    tx.record(&attempt.done()).await?;
    Ok(())
}

async fn repeat(
    tx: &mut Tx,
    session: &PersonSession,
    password: PreparedPassword,
    attempt: &Attempt,
) -> Result<(), ActivateError> {
    if !may_repeat(session) {
        return Err(ActivateError::AlreadyActivated);
    }
    let PreparedPassword::Compared { with, verdict } = password else { return Err(ActivateError::Raced) };
    if tx.password_hash(session.person.id).await? != Some(with) {
        return Err(ActivateError::Raced);
    }
    match verdict {
        Verdict::Fits => {}
        Verdict::FitsRenewed(hash) => tx.renew_password_hash(session.person.id, &hash).await?,
        Verdict::Differs => {
            tx.count_mismatch(session.id).await?;
            return Err(ActivateError::Mismatch);
        }
    }
    tx.record(&attempt.done().with_detail("repeated")).await?;
    Ok(())
}

fn may_repeat(session: &PersonSession) -> bool {
    session.has_activated && session.mismatches < MISMATCHES_MAX
}

async fn missing_step(
    tx: &mut Tx,
    person: PersonId,
    required: RequiredSteps,
) -> Result<Option<MissingStep>, StoreError> {
    if required.factor && !mfa::has_factor(tx, person).await? {
        return Ok(Some(MissingStep::Factor));
    }
    let is_without_device = required.device && tx.count_devices_of(person).await? == 0;
    Ok(is_without_device.then_some(MissingStep::Device))
}

/// The open session and the password of its person, if the token is good and no step is missing. Why it is not so,
/// the transaction says.
async fn known_session(
    store: &Store,
    token: &Token,
    required: RequiredSteps,
) -> Result<Option<(PersonSession, Option<PasswordHash>)>, StoreError> {
    let digest = token.digest(store.sealer());
    store
        .read(|tx| {
            Box::pin(async move {
                let Some(token) = tx.enrollment_token(&digest).await? else { return Ok(None) };
                let is_open = token.session_ends_at.is_some_and(|ends_at| tx.now() < ends_at);
                let Some(session) = token.into_person_session() else { return Ok(None) };
                if !is_open || session.person.is_disabled {
                    return Ok(None);
                }
                let person = &session.person;
                if !person.is_enrolled && missing_step(tx, person.id, required).await?.is_some() {
                    return Ok(None);
                }
                let hash = tx.password_hash(person.id).await?;
                Ok(Some((session, hash)))
            })
        })
        .await
}
