//! What a command answers. The JSON of each is a contract with scripts.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The result of a command.
#[derive(Debug, Serialize, Deserialize)]
pub enum Answer {
    UserAdded { id: i64, login: String, email: String },
    Users(Vec<UserRow>),
    Enrollment(Enrollment),
    UserDisabled { login: String },
    LocationAdded { id: i64, name: String },
    Locations(Vec<LocationRow>),
    EdgeAdded { id: i64, name: String, address: String },
    Edges(Vec<EdgeRow>),
    EdgeChanged(EdgeChanged),
    EdgeRemoved(EdgeRemoved),
    Devices(Vec<DeviceRow>),
    DeviceRemoved { id: i64 },
    Activity(Vec<ActivityRow>),
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

/// How an Edge looks from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EdgeState {
    Connected,
    Dialing,
    Disabled,
    /// No Core runs, so nobody dials.
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

#[derive(Debug, Serialize, Deserialize)]
pub struct DeviceRow {
    pub id: i64,
    pub name: String,
    pub user: String,
    pub public_key: String,
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
            Self::UserDisabled { login } => json!({ "login": login, "disabled": true }),
            Self::LocationAdded { id, name } => json!({ "id": id, "name": name }),
            Self::Locations(rows) => json!(rows),
            Self::EdgeAdded { id, name, address } => json!({ "id": id, "name": name, "address": address }),
            Self::Edges(rows) => json!(rows),
            Self::EdgeChanged(changed) => json!(changed),
            Self::EdgeRemoved(removed) => json!(removed),
            Self::Devices(rows) => json!(rows),
            Self::DeviceRemoved { id } => json!({ "id": id, "removed": true }),
            Self::Activity(rows) => json!(rows),
        }
    }
}

impl EdgeState {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Dialing => "dialing",
            Self::Disabled => "disabled",
            Self::Offline => "offline",
        }
    }
}

impl fmt::Debug for Enrollment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Enrollment").field("login", &self.login).field("token", &"***").finish_non_exhaustive()
    }
}
