//! A login's part in the browser: its person proves to be themselves at the OpenID provider, and then the client that
//! began it may end it. Nobody else's identity passes it, and a try with one ends it.

use super::{LoginSession, Method};
use crate::{
    activity::{Attempt, Factor},
    location::MfaMode,
    openid::{self, DistrustError, Identity, Linking, Nonce, OwnerError, RedeemError, StateError},
    store::{Store, StoreError, Tx},
    token::Token,
};

#[derive(Debug, thiserror::Error)]
pub enum AuthenticateError {
    #[error("OIDC MFA method is not supported")]
    NoProvider,
    #[error(transparent)]
    State(#[from] StateError),
    /// Unknown, or finished.
    #[error("login session not found")]
    SessionUnknown,
    /// Its time is over.
    #[error("invalid token")]
    Expired,
    #[error("login session already completed")]
    AlreadyPassed,
    #[error("invalid MFA method")]
    OtherMethod,
    #[error("user is disabled")]
    Disabled,
    #[error("the device has no access to the location")]
    NoAccess,
    #[error(transparent)]
    Redeem(#[from] RedeemError),
    /// The identity's own person is another, or nobody.
    #[error("somebody else signed in")]
    OtherPerson,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AuthenticateError {
    /// Somebody tried to pass it with what is not good enough.
    pub(crate) fn ends_login(&self) -> bool {
        match self {
            Self::OtherPerson | Self::Redeem(RedeemError::Distrust(_)) => true,
            Self::NoProvider
            | Self::State(_)
            | Self::SessionUnknown
            | Self::Expired
            | Self::AlreadyPassed
            | Self::OtherMethod
            | Self::Disabled
            | Self::NoAccess
            | Self::Redeem(_)
            | Self::Store(_) => false,
        }
    }
}

/// The first look, by a reader: whoever is refused here reaches neither the provider nor the writer.
pub async fn may_authenticate(
    store: &Store,
    token: &Token,
    mut attempt: Attempt,
) -> Result<(Attempt, Option<AuthenticateError>), StoreError> {
    let token = token.clone();
    store
        .read(|tx| {
            Box::pin(async move {
                match admit(tx, &token, &mut attempt).await {
                    Ok(_) => Ok((attempt, None)),
                    Err(AuthenticateError::Store(error)) => Err(error),
                    Err(refusal) => Ok((attempt, Some(refusal))),
                }
            })
        })
        .await
}

/// Notes that the login's own person signed in, by the provider's word. `None`: this was asked before, and its answer
/// should have been found.
pub async fn authenticate(
    tx: &mut Tx,
    word: Result<Option<Identity>, DistrustError>,
    (token, nonce): (&Token, &Nonce),
    linking: Linking,
    attempt: &mut Attempt,
) -> Result<(), AuthenticateError> {
    let session = admit(tx, token, attempt).await?;
    let proved = match word {
        Ok(Some(identity)) => prove(tx, &session, &identity, linking, attempt).await,
        Ok(None) => Err(RedeemError::Used.into()),
        Err(error) => Err(RedeemError::from(error).into()),
    };
    match proved {
        Ok(()) => openid::spend(tx, nonce).await?,
        Err(error) => {
            if error.ends_login() {
                tx.end_login(session.id).await?;
            }
            return Err(error);
        }
    }
    tx.note_openid_passed(session.id).await?;
    tx.record(&attempt.done()).await?;
    Ok(())
}

async fn prove(
    tx: &mut Tx,
    session: &LoginSession,
    identity: &Identity,
    linking: Linking,
    attempt: &Attempt,
) -> Result<(), AuthenticateError> {
    let owner = match openid::owner(tx, identity, linking).await {
        Ok(owner) if owner.person().id == session.person => owner,
        Ok(_) | Err(OwnerError::Nobody | OwnerError::HasOther | OwnerError::Disabled) => {
            return Err(AuthenticateError::OtherPerson);
        }
        Err(OwnerError::Store(error)) => return Err(error.into()),
    };
    match openid::settle(tx, identity, owner, attempt).await {
        Ok(_) => Ok(()),
        Err(OwnerError::Store(error)) => Err(error.into()),
        Err(OwnerError::Nobody | OwnerError::HasOther | OwnerError::Disabled) => Err(AuthenticateError::OtherPerson),
    }
}

async fn admit(tx: &mut Tx, token: &Token, attempt: &mut Attempt) -> Result<LoginSession, AuthenticateError> {
    let digest = token.digest(tx.sealer());
    let session = tx.login(&digest, None).await?.ok_or(AuthenticateError::SessionUnknown)?;
    attempt.is_by(&session.login);
    attempt.shows(Factor::OpenId);
    if session.expires_at <= tx.now() {
        return Err(AuthenticateError::Expired);
    }
    if session.method != Method::OpenId || session.mfa_mode != MfaMode::External {
        return Err(AuthenticateError::OtherMethod);
    }
    if session.has_passed_openid {
        return Err(AuthenticateError::AlreadyPassed);
    }
    if session.person_is_disabled {
        return Err(AuthenticateError::Disabled);
    }
    if session.has_access { Ok(session) } else { Err(AuthenticateError::NoAccess) }
}
