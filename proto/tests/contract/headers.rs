//! How the two ends introduce themselves.

use http::{HeaderMap, HeaderValue};
use postern_proto::version::{self, Peer, VersionError};
use semver::Version;

#[test]
fn what_a_stock_core_sent_is_accepted() {
    let headers = headers(&[
        ("defguard-component-version", "2.0.1+ea1a50c"),
        ("defguard-component-system", "Debian;12.0.0;x86_64"),
    ]);

    let peer = Peer::parse(&headers).unwrap();

    assert_eq!(peer.version, Version::parse("2.0.1+ea1a50c").unwrap());
    assert!(!peer.speaks_link);
    assert_eq!(peer.instance, None);
}

#[test]
fn what_we_send_is_accepted_by_a_stock_core_and_by_us() {
    let announced = Version::parse(version::ANNOUNCED).unwrap();

    assert!(announced >= Version::new(2, 0, 0) && announced.pre.is_empty(), "the rule of a stock Core");
    let headers = headers(&[
        (version::COMPONENT_VERSION, version::ANNOUNCED),
        (version::COMPONENT_SYSTEM, &version::system()),
        (version::LINK, version::LINK_REVISION),
        (version::CORE_INSTANCE, "7e0f9c1c-44f6-4c48-a45d-0d2f0a3b9f11"),
    ]);
    let peer = Peer::parse(&headers).unwrap();
    assert!(peer.speaks_link);
    assert_eq!(peer.instance.as_deref(), Some("7e0f9c1c-44f6-4c48-a45d-0d2f0a3b9f11"));
}

#[test]
fn the_zone_of_a_core_is_known_when_it_is_a_name() {
    let zone = |value| {
        let introduction = [(version::COMPONENT_VERSION, "2.0.1"), (version::COMPONENT_SYSTEM, "a;b;c")];
        Peer::parse(&headers(&[introduction[0], introduction[1], (version::CORE_ZONE, value)])).unwrap().zone
    };

    assert_eq!(zone("north").unwrap().as_str(), "north");
    for none in ["", "two words", &"x".repeat(65)] {
        assert_eq!(zone(none), None, "{none}");
    }
}

#[test]
fn the_system_has_three_parts_that_fit_a_header() {
    let system = version::system();

    assert_eq!(system.split(';').count(), 3, "{system}");
    assert!(system.split(';').all(|part| !part.is_empty()), "{system}");
    assert!(HeaderValue::from_str(&system).is_ok());
}

#[test]
fn versions_below_two_are_refused_and_pre_releases_of_two_are_not() {
    let of = |version| {
        let headers = headers(&[(version::COMPONENT_VERSION, version), (version::COMPONENT_SYSTEM, "a;b;c")]);
        Peer::parse(&headers)
    };

    for accepted in ["2.0.0", "2.0.0-beta1", "2.0.1-alpha1", "3.1.4", "2.0.0+build"] {
        assert!(of(accepted).is_ok(), "{accepted}");
    }
    for refused in ["1.6.2", "1.99.99", "0.0.0"] {
        let found = Version::parse(refused).unwrap();
        assert_eq!(of(refused), Err(VersionError::TooOld { found }));
    }
    assert_eq!(of("1.6.2").unwrap_err().to_string(), "Version 1.6.2 not supported; at least 2.0.0 is needed");
}

#[test]
fn a_header_that_is_absent_or_unreadable_counts_as_missing() {
    let good = [(version::COMPONENT_VERSION, "2.0.1"), (version::COMPONENT_SYSTEM, "a;b;c")];
    let bad_systems = ["", "a", "a;b", "a;b;c;d"];
    let bad_versions = ["", "2", "2.0", "v2.0.1", "latest"];

    for (name, value) in good {
        assert_eq!(Peer::parse(&headers(&[(name, value)])), Err(VersionError::Missing));
    }
    for system in bad_systems {
        assert_eq!(Peer::parse(&headers(&[good[0], (version::COMPONENT_SYSTEM, system)])), Err(VersionError::Missing));
    }
    for version in bad_versions {
        assert_eq!(
            Peer::parse(&headers(&[(version::COMPONENT_VERSION, version), good[1]])),
            Err(VersionError::Missing)
        );
    }
    assert_eq!(VersionError::Missing.to_string(), "Missing version headers");
}

#[test]
fn an_instance_id_that_is_empty_or_too_long_is_no_instance() {
    for id in [String::new(), "x".repeat(65)] {
        let headers = headers(&[
            (version::COMPONENT_VERSION, "2.0.1"),
            (version::COMPONENT_SYSTEM, "a;b;c"),
            (version::CORE_INSTANCE, &id),
        ]);

        assert_eq!(Peer::parse(&headers).unwrap().instance, None);
    }
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap())).collect()
}
