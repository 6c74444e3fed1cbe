//! Polling: a device asks, every half minute, whether its setup has changed.
//!
//! A pure read of one statement: this is by far the most frequent request, and it must not wait for the writer.

use crate::{
    device::DeviceSetup,
    store::{Store, StoreError},
    token::Token,
};

#[derive(Debug, thiserror::Error)]
pub enum PollError {
    #[error("invalid token")]
    InvalidToken,
    #[error("user inactive")]
    Inactive,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The setup of the device that a polling token belongs to.
pub async fn poll(store: &Store, token: &Token) -> Result<DeviceSetup, PollError> {
    let digest = token.digest(store.sealer());
    let found: Option<DeviceSetup> = store
        .read_last::<_, StoreError, _>(|tx| Box::pin(async move { tx.polled_device_setup(&digest).await }))
        .await?;
    let setup = found.ok_or(PollError::InvalidToken)?;
    if setup.owner_is_disabled { Err(PollError::Inactive) } else { Ok(setup) }
}
