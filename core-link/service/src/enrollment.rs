//! Enrollment: a person with a token opens one session, adds devices and chooses a password.
//!
//! A token is valid for a day and opens one session of ten minutes, for whoever shows it first. Within the session
//! every step may be repeated, because answers get lost; after it the token is worth nothing.

mod activation;

use std::time::Duration;

pub use activation::{ActivateError, Activation, Prepared, activate};

use crate::{
    activity::{Attempt, Entry, Origin},
    clock::Timestamp,
    person::{self, FindPersonError, Person},
    store::{Store, StoreError, Tx},
    token::Token,
};

/// NIST SP 800-63B allows a mailed enrollment code for a day.
const TOKEN_LIFETIME: Duration = Duration::from_hours(24);
const SESSION_LIFETIME: Duration = Duration::from_mins(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnrollmentTokenId(pub(crate) i64);

/// A token, as stored, and whom it belongs to.
#[derive(Debug, Clone)]
pub struct EnrollmentToken {
    pub id: EnrollmentTokenId,
    pub expires_at: Timestamp,
    /// `None`: the session was not opened yet.
    pub session_ends_at: Option<Timestamp>,
    /// The person was activated in this session.
    pub has_activated: bool,
    /// Activations repeated with another password.
    pub mismatches: u32,
    pub person: Person,
}

/// A new token, for the person's eyes only.
#[derive(Debug)]
pub struct Invitation {
    pub login: String,
    pub token: Token,
    pub expires_at: Timestamp,
}

/// An open session.
#[derive(Debug)]
pub struct Session {
    pub person: Person,
    pub device_names: Vec<String>,
    pub ends_at: Timestamp,
}

/// The token that was shown does not help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("no token was shown")]
    Missing,
    /// Unknown, or its session is over.
    #[error("invalid token")]
    Invalid,
    #[error("token expired")]
    Expired,
    #[error("session expired")]
    SessionOver,
}

#[derive(Debug, thiserror::Error)]
pub enum InviteError {
    #[error(transparent)]
    Find(#[from] FindPersonError),
    #[error("{login} is disabled")]
    Disabled { login: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error("user is disabled")]
    Disabled,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl TokenError {
    /// Reads what a client showed.
    pub fn parse(shown: Option<String>) -> Result<Token, Self> {
        Token::parse(shown.ok_or(Self::Missing)?).map_err(|_| Self::Invalid)
    }
}

/// Makes a token for a person. Older ones that were not used yet end.
pub async fn invite(tx: &mut Tx, login: &str, origin: &Origin) -> Result<Invitation, InviteError> {
    let person = person::find(tx, login).await?;
    if person.is_disabled {
        return Err(InviteError::Disabled { login: person.login });
    }
    let token = Token::random();
    let expires_at = tx.now().after(TOKEN_LIFETIME);
    tx.end_unopened_enrollment_tokens(person.id).await?;
    let digest = token.digest(tx.sealer());
    tx.insert_enrollment_token(person.id, &digest, expires_at).await?;
    tx.record(&Entry::done("person_invited", origin, &person.login)).await?;
    Ok(Invitation { login: person.login, token, expires_at })
}

/// Whether anybody was ever given this token. A cheap look before anything that costs more.
pub async fn is_known(store: &Store, token: &Token) -> Result<bool, StoreError> {
    let digest = token.digest(store.sealer());
    Ok(store.read(|tx| Box::pin(async move { tx.enrollment_token(&digest).await })).await?.is_some())
}

/// Opens the token's session. While it is open, opening it again gives the same end.
pub async fn start(tx: &mut Tx, token: &Token, attempt: &mut Attempt) -> Result<Session, StartError> {
    let found = find::<StartError>(tx, token, attempt).await?;
    let now = tx.now();
    let ends_at = match found.session_ends_at {
        Some(ends_at) if now < ends_at => ends_at,
        Some(_) => return Err(TokenError::Invalid.into()),
        None if now < found.expires_at => now.after(SESSION_LIFETIME),
        None => return Err(TokenError::Expired.into()),
    };
    if found.person.is_disabled {
        return Err(StartError::Disabled);
    }
    if found.session_ends_at.is_none() {
        tx.open_enrollment_session(found.id, ends_at).await?;
    }
    let device_names = tx.device_names(found.person.id).await?;
    tx.record(&attempt.done()).await?;
    Ok(Session { person: found.person, device_names, ends_at })
}

/// The open session that a token stands for.
pub(crate) async fn session<E>(tx: &mut Tx, token: &Token, attempt: &mut Attempt) -> Result<EnrollmentToken, E>
where
    E: From<TokenError> + From<StoreError>,
{
    let found = find::<E>(tx, token, attempt).await?;
    match found.session_ends_at {
        Some(ends_at) if tx.now() < ends_at => Ok(found),
        Some(_) | None => Err(TokenError::SessionOver.into()),
    }
}

async fn find<E>(tx: &mut Tx, token: &Token, attempt: &mut Attempt) -> Result<EnrollmentToken, E>
where
    E: From<TokenError> + From<StoreError>,
{
    let digest = token.digest(tx.sealer());
    let found = tx.enrollment_token(&digest).await?.ok_or(TokenError::Invalid)?;
    attempt.is_by(&found.person.login);
    Ok(found)
}
