//! The headers with which the two ends introduce themselves (on every call and every reply).

use std::str::FromStr;

use http::HeaderMap;
use semver::Version;

/// Announced version. A stock Core refuses less than 2.0.0 and any pre-release; build metadata is
/// where our own version stands.
pub const ANNOUNCED: &str = concat!("2.0.1+postern.", env!("CARGO_PKG_VERSION"));

/// The oldest peer we speak to.
pub const PEER_MIN: Version = Version::new(2, 0, 0);

/// SemVer of the sender.
pub const COMPONENT_VERSION: &str = "defguard-component-version";
/// `<os>;<os version>;<arch>`.
pub const COMPONENT_SYSTEM: &str = "defguard-component-system";
/// Highest revision of `postern.link` that the sender understands; absent with a stock peer.
pub const LINK: &str = "postern-link";
/// The revision described by `postern/link.proto`.
pub const LINK_REVISION: &str = "1";
/// Id of the Core process that dials; absent with a stock Core.
pub const CORE_INSTANCE: &str = "postern-core";

/// The zone in which the Core stands; absent when it was told none.
pub const CORE_ZONE: &str = "postern-zone";

/// Longest name of a zone, in bytes.
const ZONE_MAX: usize = 64;

/// A room, site or region: what is in the same one is near.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(String);

/// A text is no zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a zone has 1 to {ZONE_MAX} visible ASCII characters")]
pub struct BadZone;

impl Zone {
    /// Its name, as it travels.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Zone {
    type Err = BadZone;

    fn from_str(text: &str) -> Result<Self, BadZone> {
        let fits = (1..=ZONE_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if fits { Ok(Self(text.to_owned())) } else { Err(BadZone) }
    }
}

/// What a peer said of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its version.
    pub version: Version,
    /// It understands `postern.link.v1`.
    pub speaks_link: bool,
    /// Id of the Core process, if it is one of ours.
    pub instance: Option<String>,
    /// Where that Core stands, if it says so.
    pub zone: Option<Zone>,
}

/// Why a peer is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// One of the two headers is absent or cannot be read.
    #[error("Missing version headers")]
    Missing,
    /// The peer is too old.
    #[error("Version {found} not supported; at least {PEER_MIN} is needed")]
    TooOld {
        /// What it announced.
        found: Version,
    },
}

impl Peer {
    /// Reads and checks the headers of a call or a reply.
    ///
    /// Pre-release and build parts do not count, as with a stock Core.
    ///
    /// # Errors
    /// [`VersionError`], whose text may be shown to the peer.
    pub fn parse(headers: &HeaderMap) -> Result<Self, VersionError> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let version = text(COMPONENT_VERSION).and_then(|v| Version::parse(v).ok()).ok_or(VersionError::Missing)?;
        if text(COMPONENT_SYSTEM).is_none_or(|system| system.split(';').count() != 3) {
            return Err(VersionError::Missing);
        }
        if (version.major, version.minor, version.patch) < (PEER_MIN.major, PEER_MIN.minor, PEER_MIN.patch) {
            return Err(VersionError::TooOld { found: version });
        }
        let instance = text(CORE_INSTANCE).filter(|id| !id.is_empty() && id.len() <= 64).map(str::to_owned);
        let zone = text(CORE_ZONE).and_then(|zone| zone.parse().ok());
        Ok(Self { version, speaks_link: text(LINK).is_some(), instance, zone })
    }
}

/// `<os>;<os version>;<arch>` of this machine, for [`COMPONENT_SYSTEM`].
pub fn system() -> String {
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let field = |name: &str| {
        release
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
            .map(|value| value.trim_matches('"'))
            .filter(|value| value.bytes().all(|b| b.is_ascii_graphic() && b != b';') && !value.is_empty())
            .unwrap_or("?")
            .to_owned()
    };
    format!("{};{};{}", field("ID"), field("VERSION_ID"), std::env::consts::ARCH)
}
