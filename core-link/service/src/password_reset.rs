//! A forgotten password: a person asks for a mail, opens its link within a day, and chooses a new one.
//!
//! Asking tells nothing: the answer, the queries and the row in the activity are the same for whoever asks about
//! whomever. A link opens one session of ten minutes and is spent by the first password. A reset logs nobody in and
//! leaves the second factor alone, so a mailbox by itself opens no location.

mod asking;
mod budget;
mod choosing;

use std::time::Duration;

pub use asking::ask;
pub use budget::{ResetBudget, TooMany};
pub use choosing::{Choice, Prepared, ResetError, reset};

use crate::{
    activity::Attempt,
    clock::Timestamp,
    enrollment::TokenError,
    mail::{self, Kind},
    person::{Person, PersonId},
    store::{Store, StoreError, Tx},
    token::Token,
};

/// NIST SP 800-63B: a mailed recovery code is valid for a day at most.
const TOKEN_LIFETIME: Duration = Duration::from_hours(24);
const SESSION_LIFETIME: Duration = Duration::from_mins(10);
/// Unopened, for each person: whoever asks again must not find that the first mail to arrive is void.
const TOKENS_MAX: u32 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResetTokenId(pub(crate) i64);

/// A token, as stored, and whom it belongs to.
#[derive(Debug, Clone)]
pub struct ResetToken {
    pub id: ResetTokenId,
    pub expires_at: Timestamp,
    /// `None`: the session was not opened yet.
    pub session_ends_at: Option<Timestamp>,
    /// The password was set in this session.
    pub is_used: bool,
    /// Repeats with another password.
    pub mismatches: u32,
    pub person: Person,
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

/// Whether anybody was ever mailed this token. A cheap look before anything that costs more.
pub async fn is_known(store: &Store, token: &Token) -> Result<bool, StoreError> {
    let digest = token.digest(store.sealer());
    Ok(store.read(|tx| Box::pin(async move { tx.reset_token(&digest).await })).await?.is_some())
}

/// Opens the token's session and says when it ends. While it is open, opening it again gives the same end.
pub async fn start(tx: &mut Tx, token: &Token, attempt: &mut Attempt) -> Result<Timestamp, StartError> {
    let found = find::<StartError>(tx, token, attempt).await?;
    if found.is_used {
        return Err(TokenError::Invalid.into());
    }
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
        tx.open_reset_session(found.id, ends_at).await?;
    }
    tx.record(&attempt.done()).await?;
    Ok(ends_at)
}

/// Ends every link that a person has not opened yet, sent or not.
pub(crate) async fn end_unopened(tx: &mut Tx, person: PersonId) -> Result<(), StoreError> {
    mail::withdraw(tx, person, Kind::PasswordReset).await?;
    tx.end_unopened_reset_tokens(person).await
}

async fn find<E>(tx: &mut Tx, token: &Token, attempt: &mut Attempt) -> Result<ResetToken, E>
where
    E: From<TokenError> + From<StoreError>,
{
    let digest = token.digest(tx.sealer());
    let found = tx.reset_token(&digest).await?.ok_or(TokenError::Invalid)?;
    attempt.is_by(&found.person.login);
    Ok(found)
}
