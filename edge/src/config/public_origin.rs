//! The origin of the public address, as a browser writes it into `Origin`.

use http::uri::Authority;

use super::value::{Parse, PublicUrl};

/// Scheme, host and port of the public address, without a slash at its end: `https://vpn.example.org`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicOrigin(String);

impl PublicOrigin {
    pub fn new(scheme: PublicUrl, authority: &Authority) -> Self {
        let (scheme, default_port) = match scheme {
            PublicUrl::Http => ("http", 80),
            PublicUrl::Https => ("https", 443),
        };
        let host = authority.host().to_ascii_lowercase();
        let port = authority.port_u16().filter(|port| *port != default_port);
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        Self(format!("{scheme}://{host}{port}"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// It leads whoever goes there to their own machine, as the default does.
    pub fn is_localhost(&self) -> bool {
        let authority = self.0.split_once("://").map(|(_, authority)| authority);
        authority.and_then(|authority| authority.split(':').next()) == Some("localhost")
    }
}

impl Parse for (PublicUrl, PublicOrigin) {
    fn parse(texts: &[String]) -> Result<Self, &'static str> {
        const EXPECTED: &str = "an address such as https://vpn.example.org/";
        let [text] = texts else { return Err(EXPECTED) };
        of(text.trim()).ok_or(EXPECTED)
    }
}

fn of(text: &str) -> Option<(PublicUrl, PublicOrigin)> {
    let url: http::Uri = text.parse().ok()?;
    let authority = url.authority()?;
    let at_root = url.path() == "/" && url.query().is_none();
    // A name before an `@` would make another host of it in the eyes of people.
    if !at_root || authority.host().is_empty() || authority.as_str().contains('@') {
        return None;
    }
    let scheme = match url.scheme_str()? {
        "http" => PublicUrl::Http,
        "https" => PublicUrl::Https,
        _ => return None,
    };
    Some((scheme, PublicOrigin::new(scheme, authority)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_origin_is_written_as_browsers_write_it() {
        for (url, origin) in [
            ("https://vpn.example.org/", "https://vpn.example.org"),
            ("https://VPN.Example.org", "https://vpn.example.org"),
            ("HTTPS://vpn.example.org:443/", "https://vpn.example.org"),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
            ("https://[::1]:8443/", "https://[::1]:8443"),
        ] {
            assert_eq!(of(url).unwrap().1.as_str(), origin, "{url}");
        }
    }

    #[test]
    fn only_localhost_is_localhost() {
        for (url, is_localhost) in [
            ("https://localhost/", true),
            ("http://LocalHost:8080/", true),
            ("https://localhost.example.org/", false),
            ("https://[::1]/", false),
        ] {
            assert_eq!(of(url).unwrap().1.is_localhost(), is_localhost, "{url}");
        }
    }

    #[test]
    fn what_is_no_address_of_a_site_is_refused() {
        for url in
            ["", "vpn.example.org", "ftp://vpn.example.org/", "https://", "https://a/b", "https://a/?b", "https://a@b/"]
        {
            assert!(of(url).is_none(), "{url}");
        }
    }
}
