//! Locations: WireGuard networks that people's devices join.

mod change;
mod checked;
mod peers;
mod range;
mod wg_quick;

use std::net::IpAddr;

pub use change::{ChangeForm, ChangeLocationError, LocationChange, Removed, change, remove};
use checked::{LIST_MAX, NAME_MAX};
use ipnet::IpNet;
pub use peers::{Authorisation, Peer, Peers, peers};
pub(crate) use range::address_at;
pub use range::{AddressRange, InvalidRange};
pub use wg_quick::wg_quick;

use crate::{
    activity::{Entry, Origin},
    store::{StoreError, Tx},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocationId(pub(crate) i64);

impl LocationId {
    pub fn new(id: i64) -> Self {
        Self(id)
    }

    pub fn as_i64(self) -> i64 {
        self.0
    }
}

/// What a device must show, beside its key, to be let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MfaMode {
    Disabled,
    /// A factor that Core checks.
    Internal,
    /// The identity provider decides.
    External,
}

/// A location, as clients learn it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    pub id: LocationId,
    pub name: String,
    /// `host:port`
    pub endpoint: String,
    pub public_key: String,
    /// Comma separated.
    pub allowed_ips: String,
    /// Comma separated.
    pub dns: Option<String>,
    pub mfa_mode: MfaMode,
    pub keepalive_seconds: u16,
}

/// A location in a list.
#[derive(Debug, Clone)]
pub struct LocationSummary {
    pub location: Location,
    /// Such as `10.10.0.0/24`.
    pub ranges: Vec<String>,
    pub devices: u32,
}

/// What an admin typed, each value parsed by itself.
#[derive(Debug, Clone)]
pub struct LocationForm {
    pub name: String,
    pub endpoint: String,
    pub public_key: String,
    pub addresses: Vec<IpNet>,
    pub allowed_ips: Vec<IpNet>,
    pub dns: Vec<IpAddr>,
    pub mfa_mode: MfaMode,
    pub keepalive_seconds: u16,
}

/// A location to be, checked.
#[derive(Debug, Clone)]
pub struct NewLocation {
    /// The id is given by the store.
    pub(crate) location: Location,
    pub(crate) ranges: Vec<AddressRange>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLocation {
    #[error("a location's name has 1 to {NAME_MAX} characters and no control characters")]
    Name,
    #[error("an endpoint is HOST:PORT, with an IPv6 host in brackets")]
    Endpoint,
    #[error("the public key is no WireGuard key")]
    PublicKey,
    #[error("a location needs at least one address range")]
    NoRange,
    #[error("the address ranges {one} and {other} overlap")]
    Overlap { one: IpNet, other: IpNet },
    #[error("a list has more than {LIST_MAX} entries")]
    TooMany,
    #[error(transparent)]
    Range(#[from] InvalidRange),
}

#[derive(Debug, thiserror::Error)]
pub enum FindLocationError {
    #[error("there is no location with the name {name}")]
    Unknown { name: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug, thiserror::Error)]
pub enum AddLocationError {
    #[error("there is a location with this name already")]
    Taken,
    #[error("{range} is too small for the {devices} devices that exist")]
    TooSmall { range: IpNet, devices: u32 },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl MfaMode {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Internal => "internal",
            Self::External => "external",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Disabled, Self::Internal, Self::External].into_iter().find(|mode| mode.as_str() == text)
    }
}

impl Location {
    /// A device is let in only with a login that still holds.
    pub fn needs_login(&self) -> bool {
        match self.mfa_mode {
            MfaMode::Disabled => false,
            MfaMode::Internal | MfaMode::External => true,
        }
    }
}

impl TryFrom<LocationForm> for NewLocation {
    type Error = InvalidLocation;

    fn try_from(form: LocationForm) -> Result<Self, InvalidLocation> {
        let name = checked::name(&form.name)?;
        checked::endpoint(&form.endpoint)?;
        checked::length(&form.addresses)?;
        checked::length(&form.allowed_ips)?;
        checked::length(&form.dns)?;
        let public_key = checked::public_key(&form.public_key)?;
        let ranges = parse_ranges(&form.addresses)?;
        // Nothing said: what is reached through the tunnel is the location's own network.
        let routed = if form.allowed_ips.is_empty() { &form.addresses } else { &form.allowed_ips };
        let location = Location {
            id: LocationId(0),
            name,
            endpoint: form.endpoint,
            public_key: public_key.as_str().to_owned(),
            allowed_ips: checked::routed(routed),
            dns: checked::dns(&form.dns),
            mfa_mode: form.mfa_mode,
            keepalive_seconds: form.keepalive_seconds,
        };
        Ok(Self { location, ranges })
    }
}

/// Adds a location and gives each known device its addresses there.
pub async fn add(tx: &mut Tx, new: &NewLocation, origin: &Origin) -> Result<Location, AddLocationError> {
    let Some(id) = tx.insert_location(&new.location).await? else { return Err(AddLocationError::Taken) };
    let devices = tx.count_devices().await?;
    for (position, range) in (0..).zip(&new.ranges) {
        if u64::from(devices) > range.capacity() {
            return Err(AddLocationError::TooSmall { range: range.network(), devices });
        }
        tx.insert_location_range(id, position, range).await?;
        tx.address_all_devices(id, position).await?;
    }
    tx.record(&Entry::done("location_added", origin, &new.location.name)).await?;
    Ok(Location { id, ..new.location.clone() })
}

pub async fn list(tx: &mut Tx) -> Result<Vec<LocationSummary>, StoreError> {
    tx.locations().await
}

pub(crate) async fn find(tx: &mut Tx, name: &str) -> Result<Location, FindLocationError> {
    let found = tx.location_by_name(name).await?;
    found.ok_or_else(|| FindLocationError::Unknown { name: name.to_owned() })
}

pub(crate) fn comma_separated<T: ToString>(values: impl IntoIterator<Item = T>) -> String {
    values.into_iter().map(|value| value.to_string()).collect::<Vec<_>>().join(",")
}

fn parse_ranges(networks: &[IpNet]) -> Result<Vec<AddressRange>, InvalidLocation> {
    if networks.is_empty() {
        return Err(InvalidLocation::NoRange);
    }
    for (index, one) in networks.iter().enumerate() {
        for other in &networks[index + 1..] {
            if one.contains(other) || other.contains(one) {
                return Err(InvalidLocation::Overlap { one: one.trunc(), other: other.trunc() });
            }
        }
    }
    Ok(networks.iter().map(|&network| AddressRange::parse(network)).collect::<Result<_, _>>()?)
}
