//! What both desktop interfaces share: the part in Rust, which keeps an instance and polls for its configuration.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use prost::Message;
use semver::Version;
use serde_json::{Value, json};

use super::{
    answer::{self, text},
    caller::Caller,
};
use crate::Reply;

/// The part in Rust leaves after this.
pub(super) const POLL_PATIENCE: Duration = Duration::from_secs(5);
/// The interface has no limit of its own; the web view leaves after a minute.
pub(super) const UI_PATIENCE: Duration = Duration::from_secs(60);
const VERSION: &str = "2.1.0";
const OLDEST_PEER: Version = Version::new(1, 6, 0);

/// What is read of a device's configuration, none of it null.
const CONFIG: [&str; 9] = [
    "network_id",
    "network_name",
    "config",
    "endpoint",
    "assigned_ip",
    "pubkey",
    "allowed_ips",
    "mfa_enabled",
    "keepalive_interval",
];

/// An instance as a desktop or a phone keeps it.
#[derive(Debug, Clone)]
pub struct Instance {
    pub id: String,
    /// Used as it came: `proxy_url + "api/v1/…"`.
    pub proxy_url: String,
    pub public_key: String,
    pub polling_token: String,
    pub locations: Vec<Location>,
}

/// One location of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    pub id: i64,
    pub name: String,
    /// `LocationMfaMode` on the wire.
    pub mfa_mode: i64,
    pub needs_posture: bool,
}

/// `ClientPlatformInfo`, which travels in a header only.
#[derive(Clone, PartialEq, Message)]
struct Platform {
    #[prost(string, tag = "1")]
    os_family: String,
    #[prost(string, tag = "2")]
    os_type: String,
    #[prost(string, tag = "3")]
    version: String,
    #[prost(string, optional, tag = "6")]
    bitness: Option<String>,
    #[prost(string, optional, tag = "7")]
    architecture: Option<String>,
}

/// What a poll said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Polled {
    Configured(Vec<Location>),
    NoLicence,
}

impl Instance {
    /// From `DeviceConfigResponse`, with everything that a client reads of it.
    pub(super) fn read(body: &Value, public_key: &str) -> Result<Self> {
        for field in ["id", "name", "url", "proxy_url", "username", "disable_all_traffic", "enterprise_enabled"] {
            ensure!(!body["instance"][field].is_null(), "instance.{field} is null in {body}");
        }
        for field in ["id", "name", "pubkey", "user_id", "created_at"] {
            ensure!(!body["device"][field].is_null(), "device.{field} is null in {body}");
        }
        ensure!(body["device"]["pubkey"] == public_key, "another device: {body}");
        let proxy_url = text(body, "/instance/proxy_url")?;
        ensure!(proxy_url.ends_with('/'), "clients append to {proxy_url}, which has no / at its end");
        Ok(Self {
            id: text(body, "/instance/id")?,
            proxy_url,
            public_key: public_key.to_owned(),
            polling_token: text(body, "/token")?,
            locations: locations(&body["configs"])?,
        })
    }

    /// The first location with this `LocationMfaMode`.
    pub fn location(&self, mfa_mode: i64) -> Result<&Location> {
        let found = self.locations.iter().find(|location| location.mfa_mode == mfa_mode);
        found.with_context(|| format!("no location with MFA mode {mfa_mode} in {:?}", self.locations))
    }

    /// By the name that the person sees.
    pub fn named(&self, name: &str) -> Result<&Location> {
        let found = self.locations.iter().find(|location| location.name == name);
        found.with_context(|| format!("no location {name} in {:?}", self.locations))
    }

    /// Every 30 seconds: what the instance gives this device now.
    pub(super) async fn poll(&self, caller: &mut Caller) -> Result<Polled> {
        let mut poller = caller.part(POLL_PATIENCE, &right_headers("linux", "Linux"));
        let url = format!("{}/api/v1/poll", origin(&self.proxy_url)?);
        let polled = poller.post("poll", &url, &json!({ "token": self.polling_token }), read_poll).await;
        caller.take_over(poller);
        polled
    }
}

/// Also what it gives up: 402 means that the instance has no licence.
fn read_poll(reply: &Reply) -> Result<Polled> {
    check_versions(reply)?;
    if reply.status == 402 {
        return Ok(Polled::NoLicence);
    }
    let body = answer::ok(reply, &["/device_config/configs", "/device_config/instance"])?;
    Ok(Polled::Configured(locations(&body["device_config"]["configs"])?))
}

pub(super) fn locations(configs: &Value) -> Result<Vec<Location>> {
    let configs = configs.as_array().with_context(|| format!("configs are no list: {configs}"))?;
    configs.iter().map(location).collect()
}

fn location(config: &Value) -> Result<Location> {
    for field in CONFIG {
        ensure!(!config[field].is_null(), "{field} is null in {config}");
    }
    Ok(Location {
        id: config["network_id"].as_i64().context("network_id is no number")?,
        name: text(config, "/network_name")?,
        mfa_mode: config["location_mfa_mode"].as_i64().context("location_mfa_mode is no number")?,
        needs_posture: config["posture_check_required"].as_bool().unwrap_or_default(),
    })
}

/// A desktop tells its user of an incompatible instance when one of these is missing or old, unless Core is away.
fn check_versions(reply: &Reply) -> Result<()> {
    if reply.header("defguard-core-connected") == "false" {
        return Ok(());
    }
    for name in ["defguard-core-version", "defguard-component-version"] {
        let version = Version::parse(reply.header(name)).with_context(|| format!("{name} is no version"))?;
        ensure!(version.cmp_precedence(&OLDEST_PEER).is_ge(), "{name} {version} is too old");
    }
    ensure!(reply.header("defguard-core-connected") == "true", "defguard-core-connected is neither true nor false");
    Ok(())
}

/// Scheme, host and port: the poller loses a path.
fn origin(url: &str) -> Result<&str> {
    let Some(host) = url.find("://").map(|at| at + 3) else { bail!("no URL: {url}") };
    let end = url[host..].find('/').map_or(url.len(), |at| host + at);
    Ok(&url[..end])
}

/// Version and platform as every client but the oldest interface and `dg` names them.
pub(super) fn right_headers(os_family: &str, os_type: &str) -> Vec<(&'static str, String)> {
    vec![("defguard-client-version", VERSION.to_owned()), ("defguard-client-platform", platform(os_family, os_type))]
}

/// The oldest interface sends the names of its constants.
pub(super) fn wrong_headers() -> Vec<(&'static str, String)> {
    vec![
        ("CLIENT_VERSION_HEADER", "1.6.10".to_owned()),
        ("CLIENT_PLATFORM_HEADER", platform("linux", "Linux")),
        ("origin", "tauri://localhost".to_owned()),
    ]
}

fn platform(os_family: &str, os_type: &str) -> String {
    let platform = Platform {
        os_family: os_family.to_owned(),
        os_type: os_type.to_owned(),
        version: "12".to_owned(),
        bitness: Some("64-bit".to_owned()),
        architecture: Some("x86_64".to_owned()),
    };
    STANDARD.encode(platform.encode_to_vec())
}
