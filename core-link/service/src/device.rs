//! Devices: a WireGuard key with an address at each location, or at one if the device is a host.

mod adding;
mod handover;
mod host;
mod name;

pub use adding::{AddDeviceError, add};
pub use handover::{HandOverError, Handover, hand_over};
pub use host::{AddHostError, AddedHost, Host, NewHost, NextStep, add as add_host};
pub use name::{DeviceName, InvalidDevice, PublicKey};

use crate::{
    activity::{Entry, Origin},
    clock::Timestamp,
    location::Location,
    person::PersonId,
    store::{StoreError, Tx},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceId(pub(crate) i64);

impl DeviceId {
    pub fn new(id: i64) -> Self {
        Self(id)
    }

    pub fn as_i64(self) -> i64 {
        self.0
    }
}

/// A device with its key, as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    pub id: DeviceId,
    pub name: String,
    pub public_key: String,
    /// `None`: a host.
    pub person_id: Option<PersonId>,
    pub created_at: Timestamp,
}

/// Everything a device needs to connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceSetup {
    pub device: Device,
    /// Its owner; a host's own name.
    pub username: String,
    pub owner_is_disabled: bool,
    pub places: Vec<Place>,
}

/// A location with the device's addresses there, comma separated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub location: Location,
    pub addresses: String,
}

/// A device in a list.
#[derive(Debug, Clone)]
pub struct DeviceSummary {
    pub id: DeviceId,
    pub name: String,
    /// Its owner. `None`: a host.
    pub login: Option<String>,
    /// `None`: a host that has not enrolled yet.
    pub public_key: Option<String>,
    pub addresses: Vec<String>,
    pub created_at: Timestamp,
}

#[derive(Debug, thiserror::Error)]
pub enum FindDeviceError {
    #[error("there is no device {}", id.as_i64())]
    Unknown { id: DeviceId },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// All devices, or one person's.
pub async fn list(tx: &mut Tx, login: Option<&str>) -> Result<Vec<DeviceSummary>, StoreError> {
    tx.devices(login).await
}

/// Removes a device; its addresses rest before they are given out again.
pub async fn remove(tx: &mut Tx, id: DeviceId, origin: &Origin) -> Result<DeviceSummary, FindDeviceError> {
    let device = find(tx, id).await?;
    tx.release_addresses(id).await?;
    tx.delete_device(id).await?;
    let entry = Entry::done("device_removed", origin, device.owner());
    tx.record(&entry.with_detail(format!("device {} ({})", id.as_i64(), device.name))).await?;
    Ok(device)
}

/// Ends the tokens that a device shows: those it polls with, and a host's to enroll. Says how many they were.
pub async fn revoke_tokens(tx: &mut Tx, id: DeviceId, origin: &Origin) -> Result<u64, FindDeviceError> {
    let device = find(tx, id).await?;
    let revoked = tx.end_polling_tokens(id).await? + tx.end_host_tokens(id).await?;
    let entry = Entry::done("device_tokens_revoked", origin, device.owner());
    tx.record(&entry.with_detail(format!("{revoked} of device {} ({})", id.as_i64(), device.name))).await?;
    Ok(revoked)
}

impl DeviceSummary {
    /// As records name it.
    fn owner(&self) -> String {
        self.login.clone().unwrap_or_else(|| host::label(&self.name))
    }
}

async fn find(tx: &mut Tx, id: DeviceId) -> Result<DeviceSummary, FindDeviceError> {
    tx.device(id).await?.ok_or(FindDeviceError::Unknown { id })
}
