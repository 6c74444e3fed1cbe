//! What is found good, and what each bad one is told.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use time::OffsetDateTime;

use super::*;

const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);
const DAY: i64 = 24 * 60 * 60;

/// A chain of three, the site's first, and the site's key.
struct Made {
    chain: [String; 3],
    key: String,
}

fn params(name: &str, from: i64, to: i64) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = OffsetDateTime::from_unix_timestamp(NOW.as_unix() + from).unwrap();
    params.not_after = OffsetDateTime::from_unix_timestamp(NOW.as_unix() + to).unwrap();
    params
}

fn make(change: impl FnOnce(&mut CertificateParams)) -> Made {
    let [root_key, middle_key, site_key] = [(); 3].map(|()| KeyPair::generate().unwrap());
    let mut root = params("Root", -DAY, 100 * DAY);
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root_pem = root.self_signed(&root_key).unwrap().pem();
    let root = Issuer::new(root, root_key);
    let mut middle = params("Middle", -DAY, 100 * DAY);
    middle.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let middle_pem = middle.signed_by(&middle_key, &root).unwrap().pem();
    let middle = Issuer::new(middle, middle_key);
    let mut site = params("Site", -DAY, 90 * DAY);
    site.subject_alt_names = vec![
        rcgen::SanType::DnsName("vpn.example.com".try_into().unwrap()),
        rcgen::SanType::IpAddress("192.0.2.1".parse().unwrap()),
    ];
    change(&mut site);
    let site_pem = site.signed_by(&site_key, &middle).unwrap().pem();
    Made { chain: [site_pem, middle_pem, root_pem], key: site_key.serialize_pem() }
}

fn check(chain: &[&str], key: &str) -> Result<CheckedCertificate, BadCertificate> {
    CheckedCertificate::check(&chain.concat(), key, NOW)
}

#[test]
fn a_whole_chain_is_taken_with_its_key_and_nothing_else_from_the_files() {
    let Made { chain: [site, middle, root], key } = make(|_| {});
    let noisy = format!("bag attributes\n{site}# a remark\n{middle}");

    let taken = check(&[&noisy, &root], &format!("secret remark\n{key}")).unwrap();

    assert_eq!(taken.chain.replace('\r', ""), [site, middle, root].concat().replace('\r', ""));
    assert_eq!(taken.key.replace('\r', ""), key.replace('\r', ""));
    assert_eq!(taken.description.names, ["vpn.example.com", "192.0.2.1"]);
    assert_eq!(taken.description.issuer, "CN=Middle");
    assert_eq!(taken.description.not_after.as_unix(), NOW.as_unix() + 90 * DAY);
    assert_eq!(Description::of(&taken.chain).unwrap(), taken.description);
    assert!(!format!("{taken:?}").contains("PRIVATE"));
}

#[test]
fn the_key_must_be_the_one_of_the_first_certificate() {
    let made = make(|_| {});
    let other = KeyPair::generate().unwrap().serialize_pem();
    assert!(matches!(check(&[&made.chain[0]], &other), Err(BadCertificate::OtherKey(_))));
    assert!(matches!(check(&[&made.chain[0]], &made.chain[0]), Err(BadCertificate::UnreadableKey)));
    assert!(matches!(check(&[&made.chain[0]], ""), Err(BadCertificate::UnreadableKey)));
}

#[test]
fn certificates_out_of_order_or_of_strangers_are_refused() {
    let Made { chain: [site, middle, root], key } = make(|_| {});
    let stranger = make(|_| {});
    assert!(check(&[&site], &key).is_ok(), "a chain may be short");
    assert!(matches!(check(&[&middle, &site], &key), Err(BadCertificate::Authority)));
    assert!(matches!(check(&[&site, &root, &middle], &key), Err(BadCertificate::BrokenChain(2))));
    assert!(matches!(check(&[&site, &middle, &stranger.chain[2]], &key), Err(BadCertificate::BrokenChain(3))));
    // The same name, and another key.
    assert!(matches!(check(&[&site, &stranger.chain[1]], &key), Err(BadCertificate::BrokenChain(2))));
    assert!(matches!(check(&[&site, &site], &key), Err(BadCertificate::BrokenChain(2))));
    assert!(matches!(check(&[site.as_str(); 11], &key), Err(BadCertificate::TooLong(11))));
}

#[test]
fn a_certificate_counts_only_within_its_time() {
    let early = make(|site| site.not_before = OffsetDateTime::from_unix_timestamp(NOW.as_unix() + 1).unwrap());
    assert!(matches!(check(&[&early.chain[0]], &early.key), Err(BadCertificate::TooEarly(_))));
    let over = make(|site| site.not_after = OffsetDateTime::from_unix_timestamp(NOW.as_unix()).unwrap());
    assert!(matches!(check(&[&over.chain[0]], &over.key), Err(BadCertificate::Expired(_))));
    let last = make(|site| site.not_after = OffsetDateTime::from_unix_timestamp(NOW.as_unix() + 1).unwrap());
    assert!(check(&[&last.chain[0]], &last.key).is_ok());
}

#[test]
fn a_certificate_must_name_a_host() {
    let nameless = make(|site| site.subject_alt_names.clear());
    assert!(matches!(check(&[&nameless.chain[0]], &nameless.key), Err(BadCertificate::NoNames)));
}

#[test]
fn what_was_ordered_must_be_for_the_domain() {
    let made = make(|_| {});
    let taken = check(&[&made.chain[0]], &made.key).unwrap().for_domain("VPN.example.com").unwrap();
    assert!(matches!(taken.for_domain("example.com"), Err(BadCertificate::OtherDomain { .. })));
}

#[test]
fn a_damaged_file_is_refused_and_never_a_panic() {
    let made = make(|_| {});
    let chain = &made.chain[0];
    for text in
        ["", "no PEM", "-----BEGIN CERTIFICATE-----", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"]
    {
        assert!(matches!(check(&[text], &made.key), Err(BadCertificate::Unreadable)), "{text:?}");
    }
    for length in (0..chain.len() - 1).step_by(7) {
        assert!(check(&[&chain[..length]], &made.key).is_err(), "{length}");
    }
    for position in (30..chain.len() - 30).step_by(5) {
        let mut damaged = chain.clone().into_bytes();
        damaged[position] = if damaged[position] == b'A' { b'B' } else { b'A' };
        // A change may fall into the signature, which only the next certificate of a chain could tell.
        drop(check(&[str::from_utf8(&damaged).unwrap()], &made.key));
    }
}
