//! What a command answers. The JSON of each is a contract with scripts.

mod certificate;
mod migrated;
mod posture;

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use certificate::{CertificateRow, CertificateStored};
pub use migrated::Migrated;
pub use posture::PostureRow;

/// The result of a command.
#[derive(Debug, Serialize, Deserialize)]
pub enum Answer {
    UserAdded { id: i64, login: String, email: String },
    Users(Vec<UserRow>),
    Enrollment(Enrollment),
    InvitationMailed { login: String, email: String, expires_at: String },
    MailTaken { address: String },
    UserDisabled { login: String },
    UserUnlocked { login: String },
    MfaReset { login: String },
    UserLinked { login: String },
    UserUnlinked { login: String },
    UserDeleted { login: String, devices: u32 },
    LocationAdded { id: i64, name: String },
    Locations(Vec<LocationRow>),
    LocationChanged { id: i64, name: String },
    LocationRemoved(LocationRemoved),
    Peers(Vec<PeerRow>),
    PeersConfig(PeersConfig),
    EdgeAdded { id: i64, name: String, address: String },
    Edges(Vec<EdgeRow>),
    EdgeChanged(EdgeChanged),
    EdgeRemoved(EdgeRemoved),
    CertificateStored(CertificateStored),
    Certificate(Option<CertificateRow>),
    CertificateCleared,
    HostInvited(HostInvited),
    HostAdded { id: i64, name: String, location: String, url: String, config: String },
    Devices(Vec<DeviceRow>),
    DeviceRemoved { id: i64 },
    Posture(PostureRow),
    PersonTokensRevoked { login: String, revoked: u64 },
    DeviceTokensRevoked { device: i64, revoked: u64 },
    Activity(Vec<ActivityRow>),
    Healthy {},
    Migrated(Migrated),
}

#[derive(Debug, Serialize, Deserialize)]
pub struct UserRow {
    pub id: i64,
    pub login: String,
    pub email: String,
    pub first_name: String,
    pub last_name: String,
    pub enrolled: bool,
    pub disabled: bool,
    /// Has confirmed a second factor.
    pub mfa: bool,
    /// Who they are at the OpenID provider is known.
    pub openid: bool,
    /// Needs `user unlock`.
    pub locked: bool,
    pub devices: u32,
}

/// A token that was just made.
#[derive(Serialize, Deserialize)]
pub struct Enrollment {
    pub login: String,
    pub token: String,
    /// RFC 3339.
    pub expires_at: String,
    pub url: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct LocationRow {
    pub id: i64,
    pub name: String,
    pub endpoint: String,
    pub addresses: Vec<String>,
    pub public_key: String,
    pub allowed_ips: Vec<String>,
    pub dns: Vec<String>,
    pub mfa: String,
    pub keepalive: u16,
    pub devices: u32,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct LocationRemoved {
    pub id: i64,
    pub name: String,
    /// Lost their address there, removed hosts included.
    pub devices: u32,
    /// Were in this location only, and are removed.
    pub hosts: u32,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct PeerRow {
    pub device: i64,
    pub name: String,
    /// `None`: a host.
    pub user: Option<String>,
    pub public_key: String,
    pub addresses: Vec<String>,
    /// RFC 3339; `None` where no login is needed.
    pub authorised_until: Option<String>,
}

/// What `wg syncconf` reads. Holds preshared keys.
#[derive(Serialize, Deserialize)]
pub struct PeersConfig {
    pub config: String,
}

/// How an Edge looks from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EdgeState {
    Connected,
    Dialing,
    /// Only an update of the Edge or of Core helps.
    Incompatible,
    Disabled,
    /// No Core runs here, so nobody is asked how the tunnels are.
    Offline,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct EdgeRow {
    pub id: i64,
    pub name: String,
    pub address: String,
    pub enabled: bool,
    pub state: EdgeState,
    /// RFC 3339; since when it is in this state.
    pub since: Option<String>,
    /// Ours, or `-` for an Edge of another make.
    pub version: String,
    pub announced_version: Option<String>,
    pub certificate_days_left: i64,
    pub last_error: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct EdgeChanged {
    pub id: i64,
    pub name: String,
    pub enabled: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct EdgeRemoved {
    pub id: i64,
    pub name: String,
    /// The Edge gave up its identity.
    pub purged: bool,
    /// What is left to do, if it did not.
    pub note: Option<String>,
}

/// A host, and the token that it enrolls with.
#[derive(Serialize, Deserialize)]
pub struct HostInvited {
    pub id: i64,
    pub name: String,
    pub location: String,
    pub token: String,
    /// RFC 3339.
    pub expires_at: String,
    pub url: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct DeviceRow {
    pub id: i64,
    pub name: String,
    /// `None`: a host.
    pub user: Option<String>,
    /// `None`: a host that has not enrolled yet.
    pub public_key: Option<String>,
    pub addresses: Vec<String>,
    pub created_at: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct ActivityRow {
    pub at: String,
    pub event: String,
    pub actor: String,
    pub subject: String,
    pub ip: Option<String>,
    pub outcome: String,
    pub detail: String,
}

impl Answer {
    /// For `--json`.
    pub fn json(&self) -> Value {
        match self {
            Self::UserAdded { id, login, email } => json!({ "id": id, "login": login, "email": email }),
            Self::Users(rows) => json!(rows),
            Self::Enrollment(enrollment) => json!(enrollment),
            Self::InvitationMailed { login, email, expires_at } => {
                json!({ "login": login, "mailed_to": email, "expires_at": expires_at })
            }
            Self::MailTaken { address } => json!({ "address": address, "taken": true }),
            Self::UserDisabled { login } => json!({ "login": login, "disabled": true }),
            Self::UserUnlocked { login } => json!({ "login": login, "unlocked": true }),
            Self::MfaReset { login } => json!({ "login": login, "mfa_reset": true }),
            Self::UserLinked { login } => json!({ "login": login, "openid": true }),
            Self::UserUnlinked { login } => json!({ "login": login, "openid": false }),
            Self::UserDeleted { login, devices } => json!({ "login": login, "deleted": true, "devices": devices }),
            Self::LocationAdded { id, name } | Self::LocationChanged { id, name } => json!({ "id": id, "name": name }),
            Self::Locations(rows) => json!(rows),
            Self::LocationRemoved(LocationRemoved { id, name, devices, hosts }) => {
                json!({ "id": id, "name": name, "removed": true, "devices": devices, "hosts": hosts })
            }
            Self::Peers(rows) => json!(rows),
            Self::PeersConfig(config) => json!(config),
            Self::EdgeAdded { id, name, address } => json!({ "id": id, "name": name, "address": address }),
            Self::Edges(rows) => json!(rows),
            Self::EdgeChanged(changed) => json!(changed),
            Self::EdgeRemoved(removed) => json!(removed),
            Self::CertificateStored(stored) => json!(stored),
            Self::Certificate(row) => json!(row),
            Self::CertificateCleared => json!({ "cleared": true }),
            Self::HostInvited(host) => json!(host),
            Self::HostAdded { id, name, location, url, config } => json!({
                "id": id, "name": name, "location": location, "token": null, "expires_at": null, "url": url,
                "config": config,
            }),
            Self::Devices(rows) => json!(rows),
            Self::Posture(row) => json!(row),
            Self::DeviceRemoved { id } => json!({ "id": id, "removed": true }),
            Self::PersonTokensRevoked { login, revoked } => json!({ "login": login, "revoked": revoked }),
            Self::DeviceTokensRevoked { device, revoked } => json!({ "device": device, "revoked": revoked }),
            Self::Activity(rows) => json!(rows),
            Self::Healthy {} => json!({ "healthy": true }),
            Self::Migrated(migrated) => json!(migrated),
        }
    }
}

impl EdgeState {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Dialing => "dialing",
            Self::Incompatible => "incompatible",
            Self::Disabled => "disabled",
            Self::Offline => "offline",
        }
    }
}

impl fmt::Debug for PeersConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PeersConfig(***)")
    }
}

impl fmt::Debug for Enrollment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Enrollment").field("login", &self.login).field("token", &"***").finish_non_exhaustive()
    }
}

impl fmt::Debug for HostInvited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostInvited").field("name", &self.name).field("token", &"***").finish_non_exhaustive()
    }
}
