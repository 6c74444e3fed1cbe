//! Devices: a WireGuard key with an address at each location.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    activity::{Attempt, Entry, Origin},
    clock::Timestamp,
    enrollment::{EnrollmentToken, TokenError, session},
    location::Location,
    person::PersonId,
    store::{StoreError, Tx},
    token::Token,
};

const NAME_MAX: usize = 64;
const KEY_LENGTH: usize = 32;
/// Nobody has more; without a bound one person could use up every address.
const PER_PERSON_MAX: u32 = 64;

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

/// What its owner calls a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceName(String);

/// A WireGuard public key in its one canonical form: 32 bytes in padded standard base64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDevice {
    #[error("a device's name has 1 to {NAME_MAX} characters and no control characters")]
    Name,
    #[error("invalid pubkey")]
    PublicKey,
}

/// A device, as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    pub id: DeviceId,
    pub name: String,
    pub public_key: String,
    pub person_id: PersonId,
    pub created_at: Timestamp,
}

/// Everything a device needs to connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceSetup {
    pub device: Device,
    /// Its owner.
    pub login: String,
    pub owner_is_disabled: bool,
    pub places: Vec<Place>,
}

/// A location with the device's addresses there, comma separated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub location: Location,
    pub addresses: String,
}

/// A device's setup with a fresh token to ask for it again later.
#[derive(Debug)]
pub struct Handover {
    pub setup: DeviceSetup,
    pub polling_token: Token,
}

/// A device in a list.
#[derive(Debug, Clone)]
pub struct DeviceSummary {
    pub device: Device,
    pub login: String,
    pub addresses: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum AddDeviceError {
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error("can't add device to disabled user")]
    Disabled,
    #[error("invalid key")]
    KeyTaken,
    #[error("too many devices; ask your administrator")]
    TooMany,
    #[error("no free address in location {location}; ask your administrator")]
    NoAddress { location: String },
    #[error(transparent)]
    Store(#[from] StoreError),
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

#[derive(Debug, thiserror::Error)]
pub enum RemoveDeviceError {
    #[error("there is no device {}", id.as_i64())]
    Unknown { id: DeviceId },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl DeviceName {
    pub fn parse(text: &str) -> Result<Self, InvalidDevice> {
        let text = text.trim();
        let is_name = !text.is_empty() && text.chars().count() <= NAME_MAX && !text.chars().any(char::is_control);
        if is_name { Ok(Self(text.to_owned())) } else { Err(InvalidDevice::Name) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PublicKey {
    pub fn parse(text: &str) -> Result<Self, InvalidDevice> {
        let bytes = STANDARD.decode(text).map_err(|_| InvalidDevice::PublicKey)?;
        // The decoder takes one spelling of each key only, so equal keys are equal texts.
        if bytes.len() == KEY_LENGTH { Ok(Self(text.to_owned())) } else { Err(InvalidDevice::PublicKey) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Adds a device in an enrollment session. The same session, key and name is the same device: a client whose answer
/// was lost asks again, and must not be stranded.
pub async fn add(
    tx: &mut Tx,
    token: &Token,
    name: &DeviceName,
    key: &PublicKey,
    attempt: &mut Attempt,
) -> Result<Handover, AddDeviceError> {
    let session = session::<AddDeviceError>(tx, token, attempt).await?;
    if session.person.is_disabled {
        return Err(AddDeviceError::Disabled);
    }
    let device = match tx.device_by_key(key).await? {
        Some((device, made_in)) => {
            let is_repeat = made_in == Some(session.id) && device.name == name.as_str();
            if !is_repeat {
                return Err(AddDeviceError::KeyTaken);
            }
            device.id
        }
        None => insert(tx, &session, name, key).await?,
    };
    let handover = hand_over_to(tx, device).await?;
    tx.record(&attempt.done().with_detail(format!("device {} ({})", device.as_i64(), name.as_str()))).await?;
    Ok(handover)
}

/// Gives the owner of a known device its setup again, with a fresh polling token.
pub async fn hand_over(
    tx: &mut Tx,
    token: &Token,
    key: &PublicKey,
    attempt: &mut Attempt,
) -> Result<Handover, HandOverError> {
    let session = session::<HandOverError>(tx, token, attempt).await?;
    if session.person.is_disabled {
        return Err(HandOverError::Disabled);
    }
    let Some((device, _)) = tx.device_by_key(key).await? else { return Err(HandOverError::Unknown) };
    if device.person_id != session.person.id {
        return Err(HandOverError::NotYours);
    }
    let handover = hand_over_to(tx, device.id).await?;
    tx.record(&attempt.done().with_detail(format!("device {}", device.id.as_i64()))).await?;
    Ok(handover)
}

/// All devices, or one person's.
pub async fn list(tx: &mut Tx, login: Option<&str>) -> Result<Vec<DeviceSummary>, StoreError> {
    tx.devices(login).await
}

/// Removes a device; its addresses rest before they are given out again.
pub async fn remove(tx: &mut Tx, id: DeviceId, origin: &Origin) -> Result<Device, RemoveDeviceError> {
    let Some(setup) = tx.device_setup(id).await? else { return Err(RemoveDeviceError::Unknown { id }) };
    tx.release_addresses(id).await?;
    tx.delete_device(id).await?;
    let entry = Entry::done("device_removed", origin, &setup.login);
    tx.record(&entry.with_detail(format!("device {} ({})", id.as_i64(), setup.device.name))).await?;
    Ok(setup.device)
}

async fn insert(
    tx: &mut Tx,
    session: &EnrollmentToken,
    name: &DeviceName,
    key: &PublicKey,
) -> Result<DeviceId, AddDeviceError> {
    if tx.count_devices_of(session.person.id).await? >= PER_PERSON_MAX {
        return Err(AddDeviceError::TooMany);
    }
    let device = tx.insert_device(session, name, key).await?;
    for (location, position, location_name) in tx.ranges().await? {
        if !tx.take_address(location, position, device).await? {
            tracing::warn!(location = location_name, "a location has no free address left");
            return Err(AddDeviceError::NoAddress { location: location_name });
        }
    }
    Ok(device)
}

async fn hand_over_to(tx: &mut Tx, device: DeviceId) -> Result<Handover, StoreError> {
    let polling_token = Token::random();
    let digest = polling_token.digest(tx.sealer());
    tx.insert_polling_token(device, &digest).await?;
    let setup = tx.device_setup(device).await?.ok_or(StoreError::Damaged { table: "devices" })?;
    Ok(Handover { setup, polling_token })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_spelling_of_32_bytes_is_a_key() {
        assert!(PublicKey::parse("BjoPl/4Qdi0se18RP6pHqPidrrF2iHnqKqFAL6Eh9IM=").is_ok());
        for text in [
            "",
            "nonsense",
            "BjoPl/4Qdi0se18RP6pHqPidrrF2iHnqKqFAL6Eh9IM",
            "BjoPl/4Qdi0se18RP6pHqPidrrF2iHnqKqFAL6Eh9IN=",
            "BjoPl_4Qdi0se18RP6pHqPidrrF2iHnqKqFAL6Eh9IM=",
            " BjoPl/4Qdi0se18RP6pHqPidrrF2iHnqKqFAL6Eh9IM=",
            "BjoPl/4Qdi0se18RP6pHqPidrrF2iHnqKqFAL6Eh9A==",
        ] {
            assert_eq!(PublicKey::parse(text), Err(InvalidDevice::PublicKey), "{text:?}");
        }
    }

    #[test]
    fn names_are_trimmed_and_bounded() {
        assert_eq!(DeviceName::parse("  laptop ").unwrap().as_str(), "laptop");
        assert!(DeviceName::parse(&"ü".repeat(64)).is_ok());
        for text in ["", "   ", "lap\ntop", &"ü".repeat(65)] {
            assert_eq!(DeviceName::parse(text), Err(InvalidDevice::Name), "{text:?}");
        }
    }
}
