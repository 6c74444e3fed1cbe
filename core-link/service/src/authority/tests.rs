//! What is signed, and what is not.

use rcgen::CertificateSigningRequest;
use x509_parser::{parse_x509_certificate, prelude::X509Certificate};

use super::*;

fn authority() -> Authority {
    Authority::load(&Authority::create("Test", now()).unwrap()).unwrap()
}

fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_795_000_000).unwrap()
}

fn request(change: impl FnOnce(&mut CertificateParams), key: &KeyPair) -> CertificateSigningRequest {
    let mut params = CertificateParams::default();
    change(&mut params);
    params.serialize_request(key).unwrap()
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let names = certificate.subject_alternative_name().unwrap().unwrap();
    names.value.general_names.iter().map(ToString::to_string).collect()
}

#[test]
fn the_authority_may_sign_only_leaves() {
    let authority = authority();
    let (_, certificate) = parse_x509_certificate(authority.certificate()).unwrap();
    let constraints = certificate.basic_constraints().unwrap().unwrap().value;
    assert!(constraints.ca);
    assert_eq!(constraints.path_len_constraint, Some(0));
    assert_eq!(not_after(authority.certificate()), Some(now() + AUTHORITY_LIFETIME));
}

#[test]
fn an_edge_gets_the_names_that_core_chose_and_no_others() {
    let authority = authority();
    let key = KeyPair::generate().unwrap();
    let greedy = request(
        |params| {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.subject_alt_names = vec![SanType::DnsName("bank.example.com".try_into().unwrap())];
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            params.distinguished_name.push(DnType::CommonName, "somebody else");
        },
        &key,
    );
    let public = EdgePublicKey::from_csr(greedy.der()).unwrap();

    let signed = authority.sign_edge(&public, "edge-1", "edge.example.com", now()).unwrap();

    let (_, certificate) = parse_x509_certificate(&signed).unwrap();
    assert_eq!(names(&certificate), ["DNSName(edge.example.com)"]);
    assert_eq!(certificate.subject().to_string(), "CN=postern-edge edge-1");
    assert!(!certificate.basic_constraints().unwrap().unwrap().value.ca);
    let usage = certificate.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.server_auth && !usage.client_auth);
    assert_eq!(certificate.public_key().subject_public_key.data.as_ref(), key.der_bytes());
    assert_eq!(not_after(&signed), Some(now() + IDENTITY_LIFETIME));
    certificate
        .verify_signature(Some(parse_x509_certificate(authority.certificate()).unwrap().1.public_key()))
        .unwrap();
}

#[test]
fn an_address_becomes_an_address_and_not_a_name() {
    let key = KeyPair::generate().unwrap();
    let public = EdgePublicKey::from_csr(request(|_| {}, &key).der()).unwrap();
    let signed = authority().sign_edge(&public, "edge-1", "127.0.0.1", now()).unwrap();
    assert_eq!(names(&parse_x509_certificate(&signed).unwrap().1), ["IPAddress(7f:00:00:01)"]);
}

#[test]
fn core_gets_its_role_and_may_only_be_a_client() {
    let kept = authority().issue_core("edge-1", now()).unwrap();
    let (_, certificate) = parse_x509_certificate(&kept.certificate).unwrap();
    assert_eq!(names(&certificate), ["URI(postern://core)"]);
    let usage = certificate.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.client_auth && !usage.server_auth);
}

#[test]
fn two_certificates_for_one_key_have_different_serials() {
    let authority = authority();
    let public = EdgePublicKey::from_csr(request(|_| {}, &KeyPair::generate().unwrap()).der()).unwrap();
    let serial = || {
        let signed = authority.sign_edge(&public, "e", "e", now()).unwrap();
        parse_x509_certificate(&signed).unwrap().1.raw_serial().to_vec()
    };
    let (first, second) = (serial(), serial());
    assert_ne!(first, second);
    assert_eq!(first.len(), 20);
}

#[test]
fn only_keys_of_p256_are_signed() {
    for algorithm in [&rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        assert_eq!(EdgePublicKey::from_csr(request(|_| {}, &key).der()), Err(CsrError::WrongKey));
    }
    let rsa = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    assert_eq!(EdgePublicKey::from_csr(request(|_| {}, &rsa).der()), Err(CsrError::WrongKey));
}

#[test]
fn a_request_that_its_key_did_not_sign_is_refused() {
    let mut der = request(|_| {}, &KeyPair::generate().unwrap()).der().to_vec();
    let last = der.len() - 1;
    der[last] ^= 1;
    assert_eq!(EdgePublicKey::from_csr(&der), Err(CsrError::BadSignature));
}

#[test]
fn bytes_that_are_no_request_are_refused_at_every_length() {
    let der = request(|_| {}, &KeyPair::generate().unwrap()).der().to_vec();
    for length in 0..der.len() {
        assert!(EdgePublicKey::from_csr(&der[..length]).is_err(), "{length}");
    }
    let longer = [der.as_slice(), b"x"].concat();
    assert_eq!(EdgePublicKey::from_csr(&longer), Err(CsrError::Malformed));
}
