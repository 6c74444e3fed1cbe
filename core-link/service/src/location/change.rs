//! Changing a location, and removing it. Address ranges never change: devices hold addresses in them.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{FindLocationError, InvalidLocation, Location, LocationId, MfaMode, checked, find};
use crate::{
    activity::{Entry, Origin},
    store::{StoreError, Tx},
};

/// What an admin typed, each value parsed by itself; what is missing stays.
#[derive(Debug, Clone, Default)]
pub struct ChangeForm {
    pub name: Option<String>,
    pub endpoint: Option<String>,
    pub public_key: Option<String>,
    pub allowed_ips: Option<Vec<IpNet>>,
    /// An empty list takes the name servers away.
    pub dns: Option<Vec<IpAddr>>,
    pub mfa_mode: Option<MfaMode>,
    pub keepalive_seconds: Option<u16>,
}

/// A change to be, checked.
#[derive(Debug, Clone)]
pub struct LocationChange(ChangeForm);

#[derive(Debug, thiserror::Error)]
pub enum ChangeLocationError {
    #[error(transparent)]
    Find(#[from] FindLocationError),
    #[error("there is a location with the name {name} already")]
    Taken { name: String },
    #[error("hosts are in this location ({hosts}), and a host cannot pass a second factor; remove them first")]
    HasHosts { hosts: u32 },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A location that is gone, and what it took along.
#[derive(Debug, Clone)]
pub struct Removed {
    pub id: LocationId,
    pub name: String,
    /// Lost their address there, removed hosts included.
    pub devices: u32,
    /// Were in this location alone, and are removed.
    pub hosts: u32,
}

impl TryFrom<ChangeForm> for LocationChange {
    type Error = InvalidLocation;

    fn try_from(form: ChangeForm) -> Result<Self, InvalidLocation> {
        let name = form.name.as_deref().map(checked::name).transpose()?;
        if let Some(endpoint) = &form.endpoint {
            checked::endpoint(endpoint)?;
        }
        if let Some(key) = &form.public_key {
            checked::public_key(key)?;
        }
        checked::length(form.allowed_ips.as_deref().unwrap_or_default())?;
        checked::length(form.dns.as_deref().unwrap_or_default())?;
        Ok(Self(ChangeForm { name, ..form }))
    }
}

/// Changes what the change names. Another MFA mode ends every login there: what a login gave belongs to its mode.
pub async fn change(
    tx: &mut Tx,
    name: &str,
    change: &LocationChange,
    origin: &Origin,
) -> Result<Location, ChangeLocationError> {
    let old = find(tx, name).await?;
    let new = change.applied_to(&old);
    if new.name != old.name && tx.location_by_name(&new.name).await?.is_some() {
        return Err(ChangeLocationError::Taken { name: new.name });
    }
    if new.mfa_mode != old.mfa_mode {
        let hosts = if new.mfa_mode == MfaMode::Disabled { 0 } else { tx.count_hosts_at(old.id).await? };
        if hosts > 0 {
            return Err(ChangeLocationError::HasHosts { hosts });
        }
        tx.end_logins_at(old.id).await?;
    }
    tx.update_location(&new).await?;
    tx.record(&Entry::done("location_changed", origin, &old.name).with_detail(differences(&old, &new))).await?;
    Ok(new)
}

/// Removes a location, with the hosts that are nowhere else. Everybody else's devices lose their address there.
pub async fn remove(tx: &mut Tx, name: &str, origin: &Origin) -> Result<Removed, FindLocationError> {
    let location = find(tx, name).await?;
    let devices = tx.count_devices_at(location.id).await?;
    let hosts = tx.delete_hosts_at(location.id).await?;
    tx.delete_location(location.id).await?;
    let entry = Entry::done("location_removed", origin, &location.name);
    tx.record(&entry.with_detail(format!("devices: {devices}, of them hosts: {hosts}"))).await?;
    Ok(Removed { id: location.id, name: location.name, devices, hosts })
}

impl LocationChange {
    fn applied_to(&self, old: &Location) -> Location {
        let form = self.0.clone();
        let dns = match form.dns {
            None => old.dns.clone(),
            Some(servers) => checked::dns(&servers),
        };
        Location {
            id: old.id,
            name: form.name.unwrap_or_else(|| old.name.clone()),
            endpoint: form.endpoint.unwrap_or_else(|| old.endpoint.clone()),
            public_key: form.public_key.unwrap_or_else(|| old.public_key.clone()),
            allowed_ips: form.allowed_ips.map_or_else(|| old.allowed_ips.clone(), |routed| checked::routed(&routed)),
            dns,
            mfa_mode: form.mfa_mode.unwrap_or(old.mfa_mode),
            keepalive_seconds: form.keepalive_seconds.unwrap_or(old.keepalive_seconds),
        }
    }
}

/// For the activity: what was changed, and to what.
fn differences(old: &Location, new: &Location) -> String {
    let keepalive = |location: &Location| location.keepalive_seconds.to_string();
    let dns = |location: &Location| location.dns.clone().unwrap_or_else(|| "none".to_owned());
    let changes = [
        ("name", old.name.clone(), new.name.clone()),
        ("endpoint", old.endpoint.clone(), new.endpoint.clone()),
        ("public key", old.public_key.clone(), new.public_key.clone()),
        ("allowed IPs", old.allowed_ips.clone(), new.allowed_ips.clone()),
        ("DNS", dns(old), dns(new)),
        ("MFA", old.mfa_mode.as_str().to_owned(), new.mfa_mode.as_str().to_owned()),
        ("keepalive", keepalive(old), keepalive(new)),
    ];
    let changed = changes.into_iter().filter(|(_, old, new)| old != new);
    changed.map(|(what, _, new)| format!("{what}: {new}")).collect::<Vec<_>>().join("; ")
}
