//! A device gets its setup, and a fresh token to ask for it again later.

use super::{DeviceId, DeviceSetup, PublicKey};
use crate::{
    activity::Attempt,
    enrollment::{Holder, TokenError, session},
    store::{StoreError, Tx},
    token::Token,
};

/// A device's setup with a fresh polling token.
#[derive(Debug)]
pub struct Handover {
    pub setup: DeviceSetup,
    pub polling_token: Token,
}

#[derive(Debug, thiserror::Error)]
pub enum HandOverError {
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error("user is disabled")]
    Disabled,
    #[error("device not found")]
    Unknown,
    #[error("token does not match device")]
    NotYours,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Gives the owner of a known device its setup again. A host owns itself.
pub async fn hand_over(
    tx: &mut Tx,
    token: &Token,
    key: &PublicKey,
    attempt: &mut Attempt,
) -> Result<Handover, HandOverError> {
    let session = session::<HandOverError>(tx, token, attempt).await?;
    if matches!(&session.holder, Holder::Person(person) if person.is_disabled) {
        return Err(HandOverError::Disabled);
    }
    let Some((device, _)) = tx.device_by_key(key).await? else { return Err(HandOverError::Unknown) };
    let is_owner = match &session.holder {
        Holder::Person(person) => device.person_id == Some(person.id),
        Holder::Host(host) => device.id == host.id,
    };
    if !is_owner {
        return Err(HandOverError::NotYours);
    }
    let handover = to(tx, device.id).await?;
    tx.record(&attempt.done().with_detail(format!("device {}", device.id.as_i64()))).await?;
    Ok(handover)
}

pub(super) async fn to(tx: &mut Tx, device: DeviceId) -> Result<Handover, StoreError> {
    let polling_token = Token::random();
    let digest = polling_token.digest(tx.sealer());
    tx.insert_polling_token(device, &digest).await?;
    let setup = tx.device_setup(device).await?.ok_or(StoreError::Damaged { table: "devices" })?;
    Ok(Handover { setup, polling_token })
}
