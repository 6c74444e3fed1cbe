//! Hosts: devices that belong to nobody, such as a server, each in exactly one location.
//!
//! An administrator announces a host, which reserves its address; a token then lets the host bring its own key.
//! Nobody is there to confirm a login, so a host is never in a location that asks for one.

use super::{AddDeviceError, DeviceId, DeviceName, PublicKey, adding::Added};
use crate::{
    activity::{Entry, Origin},
    clock::Timestamp,
    enrollment::{EnrollmentTokenId, Invitee, new_token},
    location::{self, FindLocationError, Location, MfaMode, wg_quick},
    store::{StoreError, Tx},
    token::Token,
};

/// A host, as announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    pub id: DeviceId,
    pub name: String,
    /// It has a key.
    pub is_enrolled: bool,
}

/// A host to be, checked.
#[derive(Debug, Clone)]
pub struct NewHost {
    pub name: DeviceName,
    /// By name.
    pub location: String,
    /// `None`: the host makes its key itself, and shows a token.
    pub public_key: Option<PublicKey>,
}

#[derive(Debug)]
pub struct AddedHost {
    pub id: DeviceId,
    pub name: String,
    pub location: String,
    pub next: NextStep,
}

/// What is left to do at the host.
#[derive(Debug)]
pub enum NextStep {
    /// Enroll with this token.
    Enroll { token: Token, expires_at: Timestamp },
    /// Put its private key into this text for `wg-quick`.
    Connect { config: String },
}

#[derive(Debug, thiserror::Error)]
pub enum AddHostError {
    #[error(transparent)]
    Location(#[from] FindLocationError),
    #[error("location {name} asks for a second factor, which a host cannot confirm")]
    AsksForFactor { name: String },
    #[error("there is a host {name} already; remove it first with `postern-core device remove {}`", id.as_i64())]
    Taken { name: String, id: DeviceId },
    #[error(
        "host {name} was added to another location; remove it first with `postern-core device remove {}`", id.as_i64()
    )]
    Elsewhere { name: String, id: DeviceId },
    #[error("another device has this public key")]
    KeyTaken,
    #[error("no free address in location {location}")]
    NoAddress { location: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Host {
    /// For records, where a host must not pass for the person of that name.
    pub fn label(&self) -> String {
        label(&self.name)
    }
}

pub(super) fn label(name: &str) -> String {
    format!("host {name}")
}

/// Announces a host. One that has not enrolled yet keeps its address and gets a new token; the old one ends.
pub async fn add(tx: &mut Tx, new: &NewHost, origin: &Origin) -> Result<AddedHost, AddHostError> {
    let location = location::find(tx, &new.location).await?;
    if location.mfa_mode != MfaMode::Disabled {
        return Err(AddHostError::AsksForFactor { name: location.name });
    }
    let id = announce(tx, &new.name, &location).await?;
    let next = match &new.public_key {
        None => invite(tx, id).await?,
        Some(key) => complete(tx, id, key, &location).await?,
    };
    let name = new.name.as_str().to_owned();
    tx.record(&Entry::done("host_added", origin, label(&name)).with_detail(format!("location {}", location.name)))
        .await?;
    Ok(AddedHost { id, name, location: location.name, next })
}

/// The host itself brings its key, in the session that its token opened.
pub(super) async fn enroll(
    tx: &mut Tx,
    session: EnrollmentTokenId,
    host: &Host,
    key: &PublicKey,
) -> Result<(DeviceId, Added), AddDeviceError> {
    match tx.device_by_key(key).await? {
        Some((device, made_in)) if device.id == host.id && made_in == Some(session) => Ok((host.id, Added::Before)),
        Some(_) => Err(AddDeviceError::KeyTaken),
        None if host.is_enrolled => Err(AddDeviceError::KeyTaken),
        None => {
            tx.enroll_host(host.id, key, Some(session)).await?;
            Ok((host.id, Added::Now))
        }
    }
}

/// The host with its address, whether it was announced before or not.
async fn announce(tx: &mut Tx, name: &DeviceName, location: &Location) -> Result<DeviceId, AddHostError> {
    match tx.host_by_name(name).await? {
        None => {}
        Some((Host { id, name, is_enrolled: true }, _)) => return Err(AddHostError::Taken { name, id }),
        Some((Host { id, .. }, at)) if at == location.id => return Ok(id),
        Some((Host { id, name, .. }, _)) => return Err(AddHostError::Elsewhere { name, id }),
    }
    let id = tx.insert_host(name).await?;
    for (at, position, location_name) in tx.ranges().await? {
        if at == location.id && !tx.take_address(at, position, id).await? {
            return Err(AddHostError::NoAddress { location: location_name });
        }
    }
    Ok(id)
}

async fn invite(tx: &mut Tx, id: DeviceId) -> Result<NextStep, StoreError> {
    tx.end_host_tokens(id).await?;
    let (token, expires_at) = new_token(tx, Invitee::Host(id)).await?;
    Ok(NextStep::Enroll { token, expires_at })
}

async fn complete(tx: &mut Tx, id: DeviceId, key: &PublicKey, location: &Location) -> Result<NextStep, AddHostError> {
    if tx.device_by_key(key).await?.is_some() {
        return Err(AddHostError::KeyTaken);
    }
    tx.end_host_tokens(id).await?;
    tx.enroll_host(id, key, None).await?;
    let setup = tx.device_setup(id).await?.ok_or(StoreError::Damaged { table: "devices" })?;
    let addresses = setup.places.first().map(|place| place.addresses.as_str()).unwrap_or_default();
    Ok(NextStep::Connect { config: wg_quick(location, addresses) })
}
