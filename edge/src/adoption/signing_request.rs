//! A fresh key and the request to certify it.

use std::net::IpAddr;

use rcgen::{
    CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256, SanType, string::Ia5String,
};

/// Common name of every Edge. Core demands one and reads nothing from it.
const COMMON_NAME: &str = "Postern Edge";
const NAME_MAX: usize = 253;
const LABEL_MAX: usize = 63;

/// Why no request is made.
#[derive(Debug, thiserror::Error)]
pub(super) enum SigningRequestError {
    #[error("the host name is neither a DNS name nor an IP address")]
    HostName,
    #[error("cannot make a key or a signing request")]
    Generate(#[from] rcgen::Error),
}

/// A key that never leaves this process but for its file, and the request for its certificate.
pub(super) struct SigningRequest {
    pub(super) key: KeyPair,
    pub(super) der: Vec<u8>,
}

/// Makes a P-256 key and a request whose only name is this host.
pub(super) fn make(host: &str) -> Result<SigningRequest, SigningRequestError> {
    let name = subject_name(host).ok_or(SigningRequestError::HostName)?;
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, COMMON_NAME);
    params.subject_alt_names = vec![name];
    let der = params.serialize_request(&key)?.der().to_vec();
    Ok(SigningRequest { key, der })
}

/// Byte for byte what Core dialled: it compares.
fn subject_name(host: &str) -> Option<SanType> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Some(SanType::IpAddress(address));
    }
    let is_label = |label: &str| {
        (1..=LABEL_MAX).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // Four numbers that are no address would be read as one by some.
    let looks_like_address = host.split('.').all(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
    if host.len() > NAME_MAX || looks_like_address || !host.split('.').all(is_label) {
        return None;
    }
    Ia5String::try_from(host).ok().map(SanType::DnsName)
}

#[cfg(test)]
mod tests {
    use rcgen::CertificateSigningRequestParams;

    use super::*;

    fn names(host: &str) -> Vec<SanType> {
        let request = make(host).unwrap();
        CertificateSigningRequestParams::from_der(&request.der.into()).unwrap().params.subject_alt_names
    }

    #[test]
    fn the_only_name_is_exactly_the_host_that_core_dialled() {
        assert_eq!(names("Edge-1.example.org"), [SanType::DnsName("Edge-1.example.org".try_into().unwrap())]);
        assert_eq!(names("edge_1"), [SanType::DnsName("edge_1".try_into().unwrap())]);
    }

    #[test]
    fn an_address_becomes_an_address_and_not_a_name() {
        assert_eq!(names("127.0.0.1"), [SanType::IpAddress("127.0.0.1".parse().unwrap())]);
        assert_eq!(names("2001:db8::1"), [SanType::IpAddress("2001:db8::1".parse().unwrap())]);
    }

    #[test]
    fn each_request_has_a_key_of_its_own() {
        assert_ne!(make("a.test").unwrap().key.serialize_der(), make("a.test").unwrap().key.serialize_der());
    }

    #[test]
    fn odd_host_names_are_refused() {
        let long_label = "a".repeat(64);
        let long_name = ["abcdefgh"; 30].join(".");
        let odd = [
            "",
            ".",
            "a..b",
            "a.",
            "-a",
            "a-",
            "a b",
            "a/b",
            "[::1]",
            "*.a",
            "a:1",
            "é.test",
            "1.2.3",
            "a\0",
            "999.1.1.1",
        ];
        for host in odd.into_iter().chain([long_label.as_str(), long_name.as_str()]) {
            assert!(matches!(make(host), Err(SigningRequestError::HostName)), "{host:?}");
        }
    }
}
