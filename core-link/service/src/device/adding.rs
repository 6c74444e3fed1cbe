//! A device joins in an enrollment session: one more of a person, or the one host that the token was made for.
//!
//! The same session, key and name is the same device: a client whose answer was lost asks again, and must not be
//! stranded.

use super::{DeviceId, DeviceName, Handover, PublicKey, handover, host};
use crate::{
    activity::Attempt,
    enrollment::{EnrollmentTokenId, Holder, TokenError, session},
    person::Person,
    store::{StoreError, Tx},
    token::Token,
};

/// Nobody has more; without a bound one person could use up every address.
const PER_PERSON_MAX: u32 = 64;

#[derive(Debug, thiserror::Error)]
pub enum AddDeviceError {
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error("can't add device to disabled user")]
    Disabled,
    #[error(
        "this token is a person's, whose devices need a name; a host needs a token of its own, which an administrator \
         makes with `postern-core device add NAME --location LOCATION`"
    )]
    NoName,
    #[error("invalid key")]
    KeyTaken,
    #[error("too many devices; ask your administrator")]
    TooMany,
    #[error("no free address in location {location}; ask your administrator")]
    NoAddress { location: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whoever got no answer asks again, and gets the same device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Added {
    Now,
    Before,
}

/// Adds the device that an enrollment session asks for. A host keeps the name that its administrator chose.
pub async fn add(
    tx: &mut Tx,
    token: &Token,
    name: Option<&DeviceName>,
    key: &PublicKey,
    attempt: &mut Attempt,
) -> Result<Handover, AddDeviceError> {
    let session = session::<AddDeviceError>(tx, token, attempt).await?;
    let (device, added) = match &session.holder {
        Holder::Person(person) => {
            add_to_person(tx, session.id, person, name.ok_or(AddDeviceError::NoName)?, key).await?
        }
        Holder::Host(host) => host::enroll(tx, session.id, host, key).await?,
    };
    let handover = handover::to(tx, device).await?;
    let detail = match added {
        Added::Now => format!("device {} ({})", device.as_i64(), handover.setup.device.name),
        Added::Before => "repeated".to_owned(),
    };
    tx.record(&attempt.done().with_detail(detail)).await?;
    Ok(handover)
}

async fn add_to_person(
    tx: &mut Tx,
    session: EnrollmentTokenId,
    person: &Person,
    name: &DeviceName,
    key: &PublicKey,
) -> Result<(DeviceId, Added), AddDeviceError> {
    if person.is_disabled {
        return Err(AddDeviceError::Disabled);
    }
    if let Some((device, made_in)) = tx.device_by_key(key).await? {
        let is_repeat = made_in == Some(session) && device.name == name.as_str();
        return if is_repeat { Ok((device.id, Added::Before)) } else { Err(AddDeviceError::KeyTaken) };
    }
    if tx.count_devices_of(person.id).await? >= PER_PERSON_MAX {
        return Err(AddDeviceError::TooMany);
    }
    let device = tx.insert_device(person.id, session, name, key).await?;
    for (location, position, location_name) in tx.ranges().await? {
        if !tx.take_address(location, position, device).await? {
            tracing::warn!(location = location_name, "a location has no free address left");
            return Err(AddDeviceError::NoAddress { location: location_name });
        }
    }
    Ok((device, Added::Now))
}
