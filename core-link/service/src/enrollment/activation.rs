//! The last step of enrollment: the person chooses a password and is active.
//!
//! Argon2 must not run inside the writer, so the password is prepared first, and the transaction then decides with
//! what was prepared. A person is activated once; a repeat in the same session with the same password is a success.

use super::{EnrollmentToken, TokenError, session};
use crate::{
    activity::Attempt,
    password::{Password, PasswordError, PasswordHash, Passwords},
    person::InvalidPhone,
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
}

/// The part of an activation that is too slow for a transaction.
#[derive(Debug)]
pub struct Prepared {
    token: Token,
    phone: Result<Option<String>, InvalidPhone>,
    password: PreparedPassword,
}

#[derive(Debug)]
enum PreparedPassword {
    New(PasswordHash),
    TooWeak,
    /// The person had this hash already, and the password fits it or not.
    Compared {
        with: PasswordHash,
        fits: bool,
    },
    /// The token or the person does not allow an activation, so nobody looked at the password.
    NotNeeded,
}

#[derive(Debug, thiserror::Error)]
pub enum ActivateError {
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error("user is disabled")]
    Disabled,
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

impl Activation {
    /// Hashes the password, or compares it, as far as the token allows it: a stranger's costs nothing.
    pub async fn prepare(self, store: &Store, passwords: &Passwords) -> Result<Prepared, ActivateError> {
        let Self { token, password, phone, mut context } = self;
        let password = match known_session(store, &token).await? {
            None => PreparedPassword::NotNeeded,
            Some((session, None)) => {
                let person = session.person;
                context.extend([person.login, person.email, person.first_name, person.last_name]);
                match passwords.accept(password, context).await {
                    Ok(hash) => PreparedPassword::New(hash),
                    Err(PasswordError::TooWeak) => PreparedPassword::TooWeak,
                    Err(error) => return Err(ActivateError::Password(error)),
                }
            }
            Some((session, Some(hash))) if may_repeat(&session) => {
                let fits = passwords.verify(password, hash.clone()).await.map_err(ActivateError::Password)?;
                PreparedPassword::Compared { with: hash, fits }
            }
            Some((_, Some(_))) => PreparedPassword::NotNeeded,
        };
        Ok(Prepared { token, phone, password })
    }
}

/// Activates the person whose session this is.
pub async fn activate(tx: &mut Tx, prepared: Prepared, attempt: &mut Attempt) -> Result<(), ActivateError> {
    let session: EnrollmentToken = session::<ActivateError>(tx, &prepared.token, attempt).await?;
    let person = &session.person;
    if person.is_disabled {
        return Err(ActivateError::Disabled);
    }
    if person.is_enrolled {
        return repeat(tx, &session, prepared.password, attempt).await;
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
    session: &EnrollmentToken,
    password: PreparedPassword,
    attempt: &Attempt,
) -> Result<(), ActivateError> {
    if !may_repeat(session) {
        return Err(ActivateError::AlreadyActivated);
    }
    let PreparedPassword::Compared { with, fits } = password else { return Err(ActivateError::Raced) };
    if tx.password_hash(session.person.id).await? != Some(with) {
        return Err(ActivateError::Raced);
    }
    if !fits {
        tx.count_mismatch(session.id).await?;
        return Err(ActivateError::Mismatch);
    }
    tx.record(&attempt.done().with_detail("repeated")).await?;
    Ok(())
}

fn may_repeat(session: &EnrollmentToken) -> bool {
    session.has_activated && session.mismatches < MISMATCHES_MAX
}

/// The open session and the password of its person, if the token is good. Why it is not, the transaction says.
async fn known_session(
    store: &Store,
    token: &Token,
) -> Result<Option<(EnrollmentToken, Option<PasswordHash>)>, StoreError> {
    let digest = token.digest(store.sealer());
    store
        .read(|tx| {
            Box::pin(async move {
                let Some(session) = tx.enrollment_token(&digest).await? else { return Ok(None) };
                let is_open = session.session_ends_at.is_some_and(|ends_at| tx.now() < ends_at);
                if !is_open || session.person.is_disabled {
                    return Ok(None);
                }
                let hash = tx.password_hash(session.person.id).await?;
                Ok(Some((session, hash)))
            })
        })
        .await
}
