//! Who is asking: the client's address, taken from trusted proxies only, and what it says of itself.
//!
//! Headers of an untrusted peer change nothing but its own description.

use std::{convert::Infallible, net::IpAddr};

use axum::{
    extract::{FromRef, FromRequestParts},
    http::{HeaderMap, HeaderName, header, request::Parts},
};
use ipnet::IpNet;
use postern_proto::proxy::DeviceInfo;

use super::{App, arrival::Arrival, error::ApiError};
use crate::core_client::{CallContext, OperationId};

static FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static OPERATION_ID: HeaderName = HeaderName::from_static("x-operation-id");
static CLIENT_VERSION: HeaderName = HeaderName::from_static("defguard-client-version");
static CLIENT_PLATFORM: HeaderName = HeaderName::from_static("defguard-client-platform");

/// Longer ones are dropped. A user agent of more than 512 bytes is no help to anybody.
const USER_AGENT_MAX: usize = 512;
const VERSION_MAX: usize = 64;
/// Base64 of a small protobuf message.
const PLATFORM_MAX: usize = 1024;

/// Networks whose word about the client is believed. Empty unless set.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// `address` in canonical form: an IPv4-mapped one is an IPv4 address.
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The right-most hop that no trusted proxy vouches for.
    ///
    /// A hop that cannot be read ends the walk: what stands left of it was said by nobody we know.
    pub(super) fn client_address(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer;
        if !self.contains(peer) {
            return client;
        }
        for line in headers.get_all(&FORWARDED_FOR).into_iter().rev() {
            let Ok(line) = line.to_str() else { return client };
            for hop in line.rsplit(',') {
                let Ok(hop) = hop.trim().parse::<IpAddr>() else { return client };
                client = hop.to_canonical();
                if !self.contains(client) {
                    return client;
                }
            }
        }
        client
    }
}

/// Where a request comes from.
pub(super) struct ClientAddress(pub(super) IpAddr);

impl<S> FromRequestParts<S> for ClientAddress
where
    App: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let peer = Arrival::of(&parts.extensions).peer;
        Ok(Self(App::from_ref(state).trusted_proxies().client_address(peer, &parts.headers)))
    }
}

/// What travels to Core beside a request.
pub(super) struct ClientInfo(pub(super) CallContext);

impl<S> FromRequestParts<S> for ClientInfo
where
    App: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Ok(ClientAddress(address)) = ClientAddress::from_request_parts(parts, state).await;
        let arrival = Arrival::of(&parts.extensions);
        let device_info = device_info(address, &parts.headers);
        let operation_id = operation_id(arrival, &parts.headers);
        Ok(Self(CallContext { device_info, operation_id, deadline: arrival.deadline }))
    }
}

fn device_info(address: IpAddr, headers: &HeaderMap) -> DeviceInfo {
    let text = |name, max| {
        let value = headers.get(name)?.to_str().ok()?;
        (value.len() <= max).then_some(value)
    };
    DeviceInfo {
        ip_address: address_text(address),
        user_agent: text(&header::USER_AGENT, USER_AGENT_MAX)
            .filter(|text| !text.contains(['<', '>']))
            .map(str::to_owned),
        version: text(&CLIENT_VERSION, VERSION_MAX).map(str::to_owned),
        platform: text(&CLIENT_PLATFORM, PLATFORM_MAX).map(str::to_owned),
    }
}

/// What `to_string` gives; for IPv4, which is nearly all, without the machinery of formatting.
fn address_text(address: IpAddr) -> String {
    let IpAddr::V4(address) = address else { return address.to_string() };
    let mut text = String::with_capacity("255.255.255.255".len());
    for (at, octet) in address.octets().into_iter().enumerate() {
        if at > 0 {
            text.push('.');
        }
        if octet >= 100 {
            text.push(char::from(b'0' + octet / 100));
        }
        if octet >= 10 {
            text.push(char::from(b'0' + octet / 10 % 10));
        }
        text.push(char::from(b'0' + octet % 10));
    }
    text
}

fn operation_id(arrival: Arrival, headers: &HeaderMap) -> OperationId {
    let given = if arrival.is_trusted { headers.get(&OPERATION_ID) } else { None };
    given.and_then(|id| OperationId::parse(id.to_str().ok()?).ok()).unwrap_or_else(OperationId::random)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn proxies() -> TrustedProxies {
        TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()])
    }

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        let parsed = |(name, value): &(&str, &str)| {
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
        };
        let mut headers = HeaderMap::new();
        for (name, value) in lines.iter().map(parsed) {
            headers.append(name, value);
        }
        headers
    }

    fn client(peer: &str, forwarded_for: &[&str]) -> String {
        let lines: Vec<_> = forwarded_for.iter().map(|value| ("x-forwarded-for", *value)).collect();
        proxies().client_address(peer.parse().unwrap(), &headers(&lines)).to_string()
    }

    #[test]
    fn the_rightmost_untrusted_hop_is_the_client() {
        let table: [(&str, &[&str], &str); 13] = [
            ("10.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["6.6.6.6, 203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["6.6.6.6, 203.0.113.9, 10.2.3.4"], "203.0.113.9"),
            ("10.0.0.1", &["6.6.6.6", "203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["203.0.113.9,10.2.3.4", "10.9.9.9"], "203.0.113.9"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["10.2.3.4"], "10.2.3.4"),
            ("10.0.0.1", &["203.0.113.9, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.9, , 10.2.3.4"], "10.2.3.4"),
            ("10.0.0.1", &["203.0.113.9:4711"], "10.0.0.1"),
            ("10.0.0.1", &["::ffff:203.0.113.9"], "203.0.113.9"),
            ("fd00::1", &["2001:db8::7"], "2001:db8::7"),
            ("203.0.113.1", &["6.6.6.6"], "203.0.113.1"),
        ];
        for (peer, forwarded_for, expected) in table {
            assert_eq!(client(peer, forwarded_for), expected, "{peer} {forwarded_for:?}");
        }
    }

    #[test]
    fn a_hop_that_is_no_text_ends_the_walk() {
        let mut lines = headers(&[("x-forwarded-for", "203.0.113.9")]);
        lines.append("x-forwarded-for", HeaderValue::from_bytes(b"\xff").unwrap());
        let peer: IpAddr = "10.0.0.1".parse().unwrap();
        assert_eq!(proxies().client_address(peer, &lines), peer);
    }

    #[test]
    fn no_header_of_an_untrusted_peer_changes_its_address() {
        const NAMES: [&str; 8] = [
            "x-forwarded-for",
            "forwarded",
            "x-real-ip",
            "x_forwarded_for",
            "x-forwarded-host",
            "client-ip",
            "true-client-ip",
            "x-client-ip",
        ];
        const VALUES: [&str; 6] = ["127.0.0.1", "10.0.0.1", "for=10.0.0.1", "::1", "a", "10.0.0.1, 10.0.0.2"];
        let peer: IpAddr = "203.0.113.1".parse().unwrap();
        for _ in 0..2000 {
            let count = rand::random_range(0..6);
            let pick = |_| (NAMES[rand::random_range(0..NAMES.len())], VALUES[rand::random_range(0..VALUES.len())]);
            let lines: Vec<_> = (0..count).map(pick).collect();
            assert_eq!(proxies().client_address(peer, &headers(&lines)), peer, "{lines:?}");
        }
    }

    #[test]
    fn what_a_client_says_of_itself_is_copied_or_dropped() {
        let address: IpAddr = "203.0.113.1".parse().unwrap();
        let said = headers(&[
            ("user-agent", "dg/1.0"),
            ("defguard-client-version", "1.6.0"),
            ("defguard-client-platform", "CgV3aW4="),
        ]);
        let info = device_info(address, &said);
        assert_eq!((info.user_agent.as_deref(), info.version.as_deref()), (Some("dg/1.0"), Some("1.6.0")));
        assert_eq!((info.ip_address.as_str(), info.platform.as_deref()), ("203.0.113.1", Some("CgV3aW4=")));

        let (long, markup) = ("a".repeat(2000), "<b>hello</b>");
        let refused =
            headers(&[("user-agent", markup), ("defguard-client-version", &long), ("defguard-client-platform", &long)]);
        let info = device_info(address, &refused);
        assert_eq!((info.user_agent, info.version, info.platform), (None, None, None));
        assert_eq!(device_info(address, &headers(&[("CLIENT_VERSION_HEADER", "1.6.0")])).version, None);
    }

    #[test]
    fn an_address_is_written_as_ever() {
        for text in ["0.0.0.0", "1.22.255.100", "10.0.9.99", "255.255.255.255", "2001:db8::1", "::1"] {
            assert_eq!(address_text(text.parse().unwrap()), text);
        }
        for octet in 0..=255 {
            let address = IpAddr::from([octet, 0, 1, octet]);
            assert_eq!(address_text(address), address.to_string());
        }
    }
}
