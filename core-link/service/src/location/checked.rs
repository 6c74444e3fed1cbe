//! Each value of a location that an admin types, checked by itself.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

use super::{InvalidLocation, comma_separated};
use crate::device::PublicKey;

pub(super) const NAME_MAX: usize = 64;
/// RFC 1035 names have at most 253 characters; brackets and a port come on top.
const ENDPOINT_MAX: usize = 262;
/// Lists that a person typed; more is a mistake.
pub(super) const LIST_MAX: usize = 64;

pub(super) fn name(text: &str) -> Result<String, InvalidLocation> {
    let name = text.trim();
    let is_name = !name.is_empty() && name.chars().count() <= NAME_MAX && !name.chars().any(char::is_control);
    if is_name { Ok(name.to_owned()) } else { Err(InvalidLocation::Name) }
}

/// Ends up as a line of its own in a configuration file, so nothing may break out of that line.
pub(super) fn endpoint(text: &str) -> Result<(), InvalidLocation> {
    let Some((host, port)) = text.rsplit_once(':') else { return Err(InvalidLocation::Endpoint) };
    let is_port = port.parse::<u16>().is_ok_and(|port| port > 0) && port.bytes().all(|byte| byte.is_ascii_digit());
    let is_v6 = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .is_some_and(|host| host.parse::<Ipv6Addr>().is_ok());
    let is_name = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
    let is_endpoint = text.len() <= ENDPOINT_MAX && is_port && (is_v6 || is_name);
    if is_endpoint { Ok(()) } else { Err(InvalidLocation::Endpoint) }
}

pub(super) fn public_key(text: &str) -> Result<PublicKey, InvalidLocation> {
    PublicKey::parse(text).map_err(|_| InvalidLocation::PublicKey)
}

pub(super) fn length<T>(list: &[T]) -> Result<(), InvalidLocation> {
    if list.len() <= LIST_MAX { Ok(()) } else { Err(InvalidLocation::TooMany) }
}

/// As clients get it.
pub(super) fn routed(networks: &[IpNet]) -> String {
    comma_separated(networks.iter().map(IpNet::trunc))
}

/// As clients get it.
pub(super) fn dns(servers: &[IpAddr]) -> Option<String> {
    (!servers.is_empty()).then(|| comma_separated(servers))
}
