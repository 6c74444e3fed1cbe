//! The text that WireGuard's `wg-quick` reads. The device puts its own private key in.

use std::fmt::Write as _;

use super::Location;

/// The configuration of one device at one location. `addresses` is comma separated.
pub fn wg_quick(location: &Location, addresses: &str) -> String {
    let Location { endpoint, public_key, allowed_ips, dns, keepalive_seconds, .. } = location;
    let mut text = format!("[Interface]\nPrivateKey = YOUR_PRIVATE_KEY\nAddress = {addresses}\n");
    if let Some(dns) = dns {
        writeln!(text, "DNS = {dns}").expect("a string grows");
    }
    write!(
        text,
        "\n[Peer]\nPublicKey = {public_key}\nAllowedIPs = {allowed_ips}\nEndpoint = {endpoint}\n\
         PersistentKeepalive = {keepalive_seconds}"
    )
    .expect("a string grows");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::location::{LocationId, MfaMode};

    fn office() -> Location {
        Location {
            id: LocationId(1),
            name: "Office".to_owned(),
            endpoint: "198.51.100.7:51820".to_owned(),
            public_key: "FMY/cM6bkgAUd/DyMbTDNoGRKAfeopLXNGOIOtcIFEE=".to_owned(),
            allowed_ips: "10.0.0.0/8".to_owned(),
            dns: Some("10.10.0.1".to_owned()),
            mfa_mode: MfaMode::Internal,
            keepalive_seconds: 25,
        }
    }

    /// As a stock Core 2.0.1 was recorded to write it.
    #[test]
    fn the_text_is_the_one_that_clients_know() {
        assert_eq!(
            wg_quick(&office(), "10.10.0.3"),
            "[Interface]\nPrivateKey = YOUR_PRIVATE_KEY\nAddress = 10.10.0.3\nDNS = 10.10.0.1\n\n[Peer]\n\
             PublicKey = FMY/cM6bkgAUd/DyMbTDNoGRKAfeopLXNGOIOtcIFEE=\nAllowedIPs = 10.0.0.0/8\n\
             Endpoint = 198.51.100.7:51820\nPersistentKeepalive = 25"
        );
    }

    #[test]
    fn without_dns_there_is_no_dns_line() {
        let text = wg_quick(&Location { dns: None, ..office() }, "10.10.0.3,fd00::3");
        assert!(
            text.starts_with("[Interface]\nPrivateKey = YOUR_PRIVATE_KEY\nAddress = 10.10.0.3,fd00::3\n\n[Peer]\n")
        );
    }
}
