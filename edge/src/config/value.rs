//! How each kind of value is written.

use std::{
    net::{IpAddr, SocketAddr},
    num::NonZeroU32,
    path::PathBuf,
    time::Duration,
};

use ipnet::IpNet;
use postern_proto::version::Zone;

/// Longest name of an Edge, in bytes: it becomes a header.
const NAME_MAX: usize = 64;

/// A value that can be written in a flag, a variable or the file.
pub(super) trait Parse: Sized {
    /// # Errors
    /// What was expected instead.
    fn parse(texts: &[String]) -> Result<Self, &'static str>;
}

/// Address that people see. Scheme and host of requests never come from a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublicUrl {
    Http,
    Https,
}

/// Visible ASCII, 1 to 64 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeName(String);

impl NodeName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where a certificate authority describes itself (RFC 8555, 7.1.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcmeDirectory {
    url: String,
    host: http::uri::Authority,
}

impl AcmeDirectory {
    pub fn as_str(&self) -> &str {
        &self.url
    }

    pub fn host(&self) -> &http::uri::Authority {
        &self.host
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLevel(pub tracing::Level);

/// This machine's name, made fit for a [`NodeName`].
pub(super) fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name: String = name.chars().filter(char::is_ascii_graphic).take(NAME_MAX).collect();
    if name.is_empty() { "postern-edge".to_owned() } else { name }
}

fn one(texts: &[String]) -> Option<&str> {
    match texts {
        [text] => Some(text.trim()),
        _ => None,
    }
}

fn scalar<T>(
    texts: &[String],
    expected: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, &'static str> {
    one(texts).and_then(parse).ok_or(expected)
}

impl Parse for SocketAddr {
    fn parse(texts: &[String]) -> Result<Self, &'static str> {
        scalar(texts, "an address such as [::]:8080", |text| text.parse().ok())
    }
}

impl Parse for PathBuf {
    fn parse(texts: &[String]) -> Result<Self, &'static str> {
        scalar(texts, "a path", |text| (!text.is_empty()).then(|| Self::from(text)))
    }
}

/// Nothing written means none.
impl Parse for Option<PathBuf> {
    fn parse(texts: &[String]) -> Result<Self, &'static str> {
        scalar(texts, "a path, or nothing", |text| Some((!text.is_empty()).then(|| PathBuf::from(text))))
    }
}

impl Parse for AcmeDirectory {
    fn parse(texts: &[String]) -> Result<Self, &'static str> {
        scalar(texts, "an https address such as https://acme-v02.api.letsencrypt.org/directory", |text| {
            let url: http::Uri = text.parse().ok()?;
            let host = url.authority().filter(|host| !host.host().is_empty() && !host.as_str().contains('@'))?;
            (url.scheme_str() == Some("https")).then(|| Self { host: host.clone(), url: text.to_owned() })
        })
    }
}

impl Parse for Vec<IpNet> {
    fn parse(texts: &[String]) -> Result<Self, &'static str> {
        let nets = texts.iter().flat_map(|text| text.split(',')).map(str::trim).filter(|text| !text.is_empty());
        nets.map(net).collect::<Option<_>>().ok_or("networks such as 10.0.0.0/8,::1")
    }
}

fn net(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

impl Parse for Duration {
    fn parse(texts: &[String]) -> Result<Self, &'static str> {
        /// Keeps sums with the clock far from any overflow.
        const MAX: Duration = Duration::from_secs(366 * 24 * 3600);
        scalar(texts, "a duration such as 10m, at most a year", |text| {
            humantime::parse_duration(text).ok().filter(|duration| *duration <= MAX)
        })
    }
}

impl Parse for NodeName {
    fn parse(texts: &[String]) -> Result<Self, &'static str> {
        scalar(texts, "1 to 64 visible ASCII characters", |text| {
            let fits = (1..=NAME_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
            fits.then(|| Self(text.to_owned()))
        })
    }
}

/// Nothing written means none.
impl Parse for Option<Zone> {
    fn parse(texts: &[String]) -> Result<Self, &'static str> {
        scalar(texts, "1 to 64 visible ASCII characters, or nothing", |text| {
            if text.is_empty() { Some(None) } else { text.parse().ok().map(Some) }
        })
    }
}

impl Parse for bool {
    fn parse(texts: &[String]) -> Result<Self, &'static str> {
        scalar(texts, "true or false", |text| text.parse().ok())
    }
}

impl Parse for NonZeroU32 {
    fn parse(texts: &[String]) -> Result<Self, &'static str> {
        scalar(texts, "a number from 1 to 1000000", |text| text.parse().ok().filter(|n: &Self| n.get() <= 1_000_000))
    }
}

impl Parse for LogLevel {
    fn parse(texts: &[String]) -> Result<Self, &'static str> {
        scalar(texts, "error, warn, info, debug or trace", |text| {
            let known = ["error", "warn", "info", "debug", "trace"].contains(&text);
            known.then(|| text.parse().ok().map(Self)).flatten()
        })
    }
}

impl Parse for LogFormat {
    fn parse(texts: &[String]) -> Result<Self, &'static str> {
        scalar(texts, "text or json", |text| match text {
            "text" => Some(Self::Text),
            "json" => Some(Self::Json),
            _ => None,
        })
    }
}
