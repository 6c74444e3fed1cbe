//! Enrollment: a person with a token opens one session, adds devices and chooses a password; a host adds itself.
//!
//! A token is valid for a day and opens one session of ten minutes, for whoever shows it first. Within the session
//! every step may be repeated, because answers get lost; after it the token is worth nothing.

mod activation;
mod invitation;
mod revocation;

use std::time::Duration;

pub use activation::{ActivateError, Activation, MissingStep, Prepared, RequiredSteps, activate};
pub use invitation::{Invitation, InviteError, invite, invite_by_mail};
pub(crate) use invitation::{Invitee, new_token};
pub use revocation::revoke;

use crate::{
    activity::Attempt,
    clock::Timestamp,
    device::Host,
    person::Person,
    store::{Store, StoreError, Tx},
    token::Token,
};

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
    pub holder: Holder,
}

/// Whom a token is for.
#[derive(Debug, Clone)]
pub enum Holder {
    Person(Person),
    Host(Host),
}

/// An open session of a person, for the steps that a host has no part in.
#[derive(Debug, Clone)]
pub struct PersonSession {
    pub id: EnrollmentTokenId,
    pub person: Person,
    /// The person was activated in this session.
    pub has_activated: bool,
    /// Activations repeated with another password.
    pub mismatches: u32,
}

/// An open session.
#[derive(Debug)]
pub struct Session {
    pub holder: Holder,
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
    #[error("this token is a host's")]
    OfHost,
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

impl EnrollmentToken {
    /// `None`: the token is a host's.
    pub(crate) fn into_person_session(self) -> Option<PersonSession> {
        let Self { id, has_activated, mismatches, holder, .. } = self;
        match holder {
            Holder::Person(person) => Some(PersonSession { id, person, has_activated, mismatches }),
            Holder::Host(_) => None,
        }
    }
}

impl Holder {
    fn is_disabled(&self) -> bool {
        match self {
            Self::Person(person) => person.is_disabled,
            Self::Host(_) => false,
        }
    }
}

impl TokenError {
    /// Reads what a client showed.
    pub fn parse(shown: Option<String>) -> Result<Token, Self> {
        Token::parse(shown.ok_or(Self::Missing)?).map_err(|_| Self::Invalid)
    }
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
    if found.holder.is_disabled() {
        return Err(StartError::Disabled);
    }
    if found.session_ends_at.is_none() {
        tx.open_enrollment_session(found.id, ends_at).await?;
    }
    let device_names = match &found.holder {
        Holder::Person(person) => tx.device_names(person.id).await?,
        Holder::Host(host) => vec![host.name.clone()],
    };
    tx.record(&attempt.done()).await?;
    Ok(Session { holder: found.holder, device_names, ends_at })
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

/// The open session of a person. A host's token is refused.
pub(crate) async fn person_session<E>(tx: &mut Tx, token: &Token, attempt: &mut Attempt) -> Result<PersonSession, E>
where
    E: From<TokenError> + From<StoreError>,
{
    let found = session::<E>(tx, token, attempt).await?;
    found.into_person_session().ok_or_else(|| TokenError::OfHost.into())
}

async fn find<E>(tx: &mut Tx, token: &Token, attempt: &mut Attempt) -> Result<EnrollmentToken, E>
where
    E: From<TokenError> + From<StoreError>,
{
    let digest = token.digest(tx.sealer());
    let found = tx.enrollment_token(&digest).await?.ok_or(TokenError::Invalid)?;
    match &found.holder {
        Holder::Person(person) => attempt.is_by(&person.login),
        Holder::Host(host) => attempt.is_by(&host.label()),
    }
    Ok(found)
}
