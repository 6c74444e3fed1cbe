//! A sign-in that ends in an enrollment token, as if an administrator had made one.

use super::{DistrustError, Identity, Linking, Nonce, NonceError, OwnerError, owner, settle};
use crate::{
    activity::{Attempt, Factor},
    enrollment::{self, Invitee},
    store::{Store, StoreError, Tx},
    token::Token,
};

/// A code was not redeemed.
#[derive(Debug, thiserror::Error)]
pub enum RedeemError {
    #[error(transparent)]
    Nonce(#[from] NonceError),
    #[error("this sign-in has ended already")]
    Used,
    #[error("the OpenID provider cannot be reached; try again")]
    Unreachable,
    #[error("too many sign-ins at once; try again")]
    Busy,
    #[error(transparent)]
    Distrust(#[from] DistrustError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    #[error("there is no OpenID provider")]
    NoProvider,
    #[error(transparent)]
    Redeem(#[from] RedeemError),
    #[error(transparent)]
    Owner(#[from] OwnerError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The first look, by a reader: at a public provider anybody has an identity, and whoever is refused here never reaches
/// the writer.
pub async fn may_sign_in(store: &Store, identity: &Identity, linking: Linking) -> Result<(), OwnerError> {
    let identity = identity.clone();
    store.read(|tx| Box::pin(async move { owner(tx, &identity, linking).await.map(drop) })).await
}

/// A token for whomever the identity belongs to. Older ones that were not used yet end. `None`: this was asked before,
/// and its answer should have been found.
pub async fn sign_in(
    tx: &mut Tx,
    identity: Option<Identity>,
    nonce: &Nonce,
    linking: Linking,
    attempt: &mut Attempt,
) -> Result<Token, SignInError> {
    let identity = identity.ok_or(RedeemError::Used)?;
    attempt.shows(Factor::OpenId);
    spend(tx, nonce).await?;
    let owner = owner(tx, &identity, linking).await?;
    attempt.is_by(&owner.person().login);
    let person = settle(tx, &identity, owner, attempt).await?;
    tx.end_unopened_enrollment_tokens(person.id).await?;
    let (token, _) = enrollment::new_token(tx, Invitee::Person(person.id)).await?;
    tx.record(&attempt.done()).await?;
    Ok(token)
}

/// Each nonce ends one sign-in.
pub(crate) async fn spend(tx: &mut Tx, nonce: &Nonce) -> Result<(), RedeemError> {
    let digest = nonce.digest(tx.sealer());
    if tx.use_openid_nonce(&digest, nonce.expires_at()).await? { Ok(()) } else { Err(RedeemError::Used) }
}
