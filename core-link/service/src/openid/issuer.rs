//! The provider's name, which is also where it describes itself.

use openidconnect::{
    IssuerUrl,
    url::{Host, Url},
};

/// Reached by TLS, or on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer(IssuerUrl);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an https address without a query (http is for this machine only)")]
pub struct InvalidIssuer;

impl Issuer {
    pub fn parse(text: &str) -> Result<Self, InvalidIssuer> {
        let issuer = IssuerUrl::new(text.to_owned()).map_err(|_| InvalidIssuer)?;
        let url = issuer.url();
        let is_plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        let is_safe = url.scheme() == "https" || is_local(url);
        if is_plain && is_safe && url.has_host() { Ok(Self(issuer)) } else { Err(InvalidIssuer) }
    }

    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub(super) fn url(&self) -> &IssuerUrl {
        &self.0
    }

    /// Whether an address that the provider names may be used: TLS, or this machine when the provider lives there.
    pub(super) fn may_name(&self, address: &Url) -> bool {
        address.scheme() == "https" || (is_local(self.0.url()) && is_local(address))
    }
}

/// Plain HTTP to a loopback address.
fn is_local(address: &Url) -> bool {
    address.scheme() == "http"
        && match address.host() {
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_reached_by_tls_unless_it_is_this_machine() {
        for (text, expected) in [
            ("https://id.example.org", true),
            ("https://id.example.org/realms/acme", true),
            ("http://127.0.0.1:9000", true),
            ("http://localhost:9000", true),
            ("http://id.example.org", false),
            ("https://id.example.org/?realm=1", false),
            ("https://joe@id.example.org", false),
            ("id.example.org", false),
            ("file:///etc", false),
        ] {
            assert_eq!(Issuer::parse(text).is_ok(), expected, "{text}");
        }
    }

    #[test]
    fn only_a_local_provider_may_name_plain_addresses_and_only_local_ones() {
        let (public, local) = ("https://id.example.org", "http://127.0.0.1:9000");
        for (address, issuer, expected) in [
            ("https://keys.example.org/jwks", public, true),
            ("http://keys.example.org/jwks", public, false),
            ("http://127.0.0.1/jwks", public, false),
            ("http://[::1]:9000/jwks", local, true),
            ("http://169.254.169.254/latest/meta-data", local, false),
            ("http://127.0.0.1.example.org/", local, false),
            ("file:///etc/passwd", local, false),
            ("javascript:alert(1)", local, false),
        ] {
            let issuer = Issuer::parse(issuer).unwrap();
            assert_eq!(issuer.may_name(&Url::parse(address).unwrap()), expected, "{address}");
        }
    }
}
