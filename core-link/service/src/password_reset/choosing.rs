//! The last step of a reset: the new password.
//!
//! As at an activation Argon2 must not run inside the writer, so the password is prepared first. The first password
//! spends the token; a repeat with the same one in the same session is a lost answer, and a success without effect.

use super::{ResetToken, find};
use crate::{
    activity::Attempt,
    enrollment::TokenError,
    mail::{self, Kind, MailUse, Message},
    password::{Password, PasswordError, PasswordHash, Passwords, PreparedPassword, Verdict},
    store::{Store, StoreError, Tx},
    token::Token,
};

/// Repeats with another password, in one session. More is guessing.
const MISMATCHES_MAX: u32 = 5;

/// What a person asks for.
#[derive(Debug)]
pub struct Choice {
    pub token: Token,
    pub password: Password,
    /// Words, besides the person's own, that make no password stronger.
    pub context: Vec<String>,
}

/// The part of a reset that is too slow for a transaction.
#[derive(Debug, Clone)]
pub struct Prepared {
    token: Token,
    password: PreparedPassword,
}

#[derive(Debug, thiserror::Error)]
pub enum ResetError {
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error("user is disabled")]
    Disabled,
    #[error("password not strong enough")]
    TooWeak,
    /// Counted, so it must stay.
    #[error("the token was used for another password")]
    Mismatch,
    #[error("the token changed while the password was prepared")]
    Raced,
    #[error("cannot check the password")]
    Password(#[source] PasswordError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Choice {
    /// Hashes the password, or compares it, as far as the token allows it: a stranger's costs nothing.
    pub async fn prepare(self, store: &Store, passwords: &Passwords) -> Result<Prepared, ResetError> {
        let Self { token, password, context } = self;
        let prepared = match open_session(store, &token).await? {
            None => Ok(PreparedPassword::NotNeeded),
            Some((session, hash)) if session.is_used => match hash.filter(|_| may_repeat(&session)) {
                None => Ok(PreparedPassword::NotNeeded),
                Some(hash) => passwords.compare(password, hash).await,
            },
            Some((session, _)) => passwords.prepare(password, context, session.person).await,
        };
        Ok(Prepared { token, password: prepared.map_err(ResetError::Password)? })
    }
}

/// Sets the password, and ends what rests on the old one: other links, open enrollment sessions, logins under way and
/// what passed logins opened.
pub async fn reset(tx: &mut Tx, prepared: Prepared, mail: MailUse, attempt: &mut Attempt) -> Result<(), ResetError> {
    let Prepared { token, password } = prepared;
    let session = find::<ResetError>(tx, &token, attempt).await?;
    if session.session_ends_at.is_none_or(|ends_at| ends_at <= tx.now()) {
        return Err(if session.is_used { TokenError::Invalid } else { TokenError::SessionOver }.into());
    }
    if session.person.is_disabled {
        return Err(ResetError::Disabled);
    }
    if session.is_used {
        return repeat(tx, &session, password, attempt).await;
    }
    let hash = match password {
        PreparedPassword::New(hash) => hash,
        PreparedPassword::TooWeak => return Err(ResetError::TooWeak),
        PreparedPassword::Compared { .. } | PreparedPassword::NotNeeded => return Err(ResetError::Raced),
    };
    let person = &session.person;
    tx.reset_password(session.id, person.id, &hash).await?;
    tx.end_reset_tokens_but(session.id, person.id).await?;
    mail::withdraw(tx, person.id, Kind::PasswordReset).await?;
    tx.end_enrollment_tokens(person.id).await?;
    tx.end_logins_of(person.id).await?;
    tx.end_authorisations_of(person.id).await?;
    mail::notify(tx, mail, person, Message::PasswordChanged { at: tx.now() }).await?;
    Ok(tx.record(&attempt.done()).await?)
}

async fn repeat(
    tx: &mut Tx,
    session: &ResetToken,
    password: PreparedPassword,
    attempt: &Attempt,
) -> Result<(), ResetError> {
    if !may_repeat(session) {
        return Err(TokenError::Invalid.into());
    }
    let PreparedPassword::Compared { with, verdict } = password else { return Err(ResetError::Raced) };
    if tx.password_hash(session.person.id).await? != Some(with) {
        return Err(ResetError::Raced);
    }
    match verdict {
        Verdict::Fits | Verdict::FitsRenewed(_) => Ok(tx.record(&attempt.done().with_detail("repeated")).await?),
        Verdict::Differs => {
            tx.count_reset_mismatch(session.id).await?;
            Err(ResetError::Mismatch)
        }
    }
}

fn may_repeat(session: &ResetToken) -> bool {
    session.mismatches < MISMATCHES_MAX
}

/// The open session and the password of its person, if the token is good. Why it is not so, the transaction says.
async fn open_session(store: &Store, token: &Token) -> Result<Option<(ResetToken, Option<PasswordHash>)>, StoreError> {
    let digest = token.digest(store.sealer());
    store
        .read(|tx| {
            Box::pin(async move {
                let Some(session) = tx.reset_token(&digest).await? else { return Ok(None) };
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
