//! Which Edges there are, and how each is recognised.

use std::{fmt, str::FromStr};

use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

/// Names one Edge for its whole life; the caller chooses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EdgeId(pub i64);

impl fmt::Display for EdgeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where an Edge listens for Core: `host:port` or `[v6]:port`.
///
/// ```
/// let address: postern_core_link::EdgeAddress = "edge-1.example.org:50051".parse()?;
/// assert_eq!((address.host(), address.port()), ("edge-1.example.org", 50051));
/// # Ok::<(), postern_core_link::AddressError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EdgeAddress {
    host: String,
    port: u16,
}

/// A text is no address of an Edge.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The port is absent, zero or no number.
    #[error("{0:?} has no valid port: expected HOST:PORT, for example edge-1.example.org:50051")]
    Port(String),
    /// The host is neither a DNS name nor an IP address.
    #[error("{0:?} has no valid host: expected a DNS name, an IPv4 address or an IPv6 address in brackets")]
    Host(String),
}

impl EdgeAddress {
    /// DNS name or IP literal, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Port, never 0.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for EdgeAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (host, port) = text.rsplit_once(':').ok_or_else(|| AddressError::Port(text.to_owned()))?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(|| AddressError::Port(text.to_owned()))?;
        let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let name = ServerName::try_from(bracketed.unwrap_or(host)).ok();
        let v6 = matches!(name, Some(ServerName::IpAddress(rustls_pki_types::IpAddr::V6(_))));
        if name.is_none() || v6 != bracketed.is_some() {
            return Err(AddressError::Host(text.to_owned()));
        }
        Ok(Self { host: bracketed.unwrap_or(host).to_owned(), port })
    }
}

impl fmt::Display for EdgeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// What Core and one Edge agreed on when it was adopted.
#[derive(Debug, PartialEq, Eq)]
pub struct EdgeTrust {
    /// The authority that signed both certificates below.
    pub ca_cert: CertificateDer<'static>,
    /// The Edge's certificate, pinned whole: another one of the same authority is refused.
    pub edge_cert: CertificateDer<'static>,
    /// What Core shows to this Edge.
    pub client_cert: CertificateDer<'static>,
    /// Key of [`Self::client_cert`].
    pub client_key: PrivateKeyDer<'static>,
}

impl Clone for EdgeTrust {
    fn clone(&self) -> Self {
        Self {
            ca_cert: self.ca_cert.clone(),
            edge_cert: self.edge_cert.clone(),
            client_cert: self.client_cert.clone(),
            client_key: self.client_key.clone_key(),
        }
    }
}

/// One Edge that a link is to be kept to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// Its name.
    pub id: EdgeId,
    /// Where it is dialled.
    pub address: EdgeAddress,
    /// How it is recognised.
    pub trust: EdgeTrust,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_and_shown_alike() {
        for text in ["edge-1.example.org:50051", "127.0.0.1:1", "[::1]:65535", "edge_1:50051"] {
            assert_eq!(text.parse::<EdgeAddress>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_text_without_a_port_is_no_address() {
        for text in ["", "edge", "edge:", "edge:0", "edge:65536", "edge:-1", "edge:50051x"] {
            assert_eq!(text.parse::<EdgeAddress>(), Err(AddressError::Port(text.to_owned())));
        }
    }

    #[test]
    fn a_text_without_a_host_is_no_address() {
        for text in [":1", "http://edge:1", "a b:1", "::1:1", "[edge]:1", "[127.0.0.1]:1", "[::1:1", "user@edge:1"] {
            assert_eq!(text.parse::<EdgeAddress>(), Err(AddressError::Host(text.to_owned())));
        }
    }

    #[test]
    fn a_key_is_never_shown() {
        let trust = EdgeTrust {
            ca_cert: vec![].into(),
            edge_cert: vec![].into(),
            client_cert: vec![].into(),
            client_key: rustls_pki_types::PrivatePkcs8KeyDer::from(b"canary".to_vec()).into(),
        };
        assert!(!format!("{trust:?}").contains("99, 97"), "{trust:?}");
    }
}
