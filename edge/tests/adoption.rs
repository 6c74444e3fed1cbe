//! Adoption over the real port: the stock flow, and everything that is refused.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{net::SocketAddr, time::Duration};

use postern_edge::{
    adoption::AdoptionPolicy,
    testing::{FakeCore, Setup, TestEdge, empty, eventually},
};
use postern_proto::{common::CertBundle, version};
use rcgen::{ExtendedKeyUsagePurpose, KeyPair};
use tempfile::TempDir;
use tonic::{Code, Status};

/// Makes a bundle for a signing request.
type BundleOf<'a> = Box<dyn Fn(&[u8]) -> CertBundle + 'a>;

const TOKEN: &str = "Bearer adoption";

#[tokio::test]
async fn an_adopted_edge_takes_a_tunnel_on_the_same_port() {
    let (edge, _folder) = new_edge();
    let core = FakeCore::new();
    core.adopt(edge.address).await.unwrap();
    let tunnel = core.connect(edge.address, |_| empty()).await;
    eventually("the edge is ready", || edge.registry.is_ready()).await;
    assert_eq!(tunnel.headers.get(version::COMPONENT_VERSION).unwrap(), version::ANNOUNCED);
    assert_eq!(tunnel.headers.get(version::LINK).unwrap(), "1");
}

#[tokio::test]
async fn the_start_stream_stays_open_through_the_whole_flow() {
    let (edge, _folder) = new_edge();
    let core = FakeCore::new();
    let mut setup = core.start_setup(edge.address, TOKEN).await.unwrap();
    let request = setup.signing_request("127.0.0.1").await.unwrap();
    setup.send(core.authority().bundle(&request, core.client_certificate())).await.unwrap();
    let _tunnel = core.connect(edge.address, |_| empty()).await;
    let mut messages = Vec::new();
    for _ in 0..3 {
        messages.push(setup.next_entry().await);
    }
    assert!(messages.iter().all(|entry| entry.level == "INFO" && entry.timestamp.ends_with('Z')), "{messages:?}");
    let more = tokio::time::timeout(Duration::from_millis(50), setup.next_entry()).await;
    assert!(more.is_err(), "still open: {more:?}");
}

#[tokio::test]
async fn every_reply_announces_our_version_also_a_refusal() {
    let (edge, _folder) = new_edge();
    let core = FakeCore::new();
    let setup = core.start_setup(edge.address, TOKEN).await.unwrap();
    let refused = core.start_setup(edge.address, "Bearer other").await.unwrap_err();
    for headers in [&setup.headers, refused.metadata()] {
        assert_eq!(headers.get(version::COMPONENT_VERSION).unwrap(), version::ANNOUNCED);
        assert_eq!(headers.get(version::COMPONENT_SYSTEM).unwrap(), version::system().as_str());
    }
}

#[tokio::test]
async fn a_call_without_a_bearer_token_is_refused() {
    let (edge, _folder) = new_edge();
    for token in ["", "Basic abc", "Bearer ", "adoption"] {
        let refused = FakeCore::new().start_setup(edge.address, token).await.unwrap_err();
        expect(&refused, Code::Unauthenticated, "Missing or invalid authorization token");
    }
}

#[tokio::test]
async fn another_token_than_that_of_start_is_refused() {
    let (edge, _folder) = new_edge();
    let core = FakeCore::new();
    let mut setup = core.start_setup(edge.address, TOKEN).await.unwrap();
    let request = setup.signing_request("127.0.0.1").await.unwrap();
    setup.set_token("Bearer other");
    expect(&setup.signing_request("127.0.0.1").await.unwrap_err(), Code::Unauthenticated, "Invalid session token");
    let bundle = core.authority().bundle(&request, core.client_certificate());
    expect(&setup.send(bundle).await.unwrap_err(), Code::Unauthenticated, "Invalid session token");
}

#[tokio::test]
async fn a_second_start_is_refused_until_the_first_is_dropped() {
    let (edge, _folder) = new_edge();
    let core = FakeCore::new();
    let first = core.start_setup(edge.address, TOKEN).await.unwrap();
    let refused = core.start_setup(edge.address, TOKEN).await.unwrap_err();
    expect(&refused, Code::ResourceExhausted, "Setup already in progress");
    drop(first);
    start_when_free(&core, edge.address).await;
}

#[tokio::test]
async fn outside_the_window_nobody_adopts() {
    let folder = TempDir::new().unwrap();
    let policy = AdoptionPolicy { from: vec!["127.0.0.0/8".parse().unwrap()], window: Duration::ZERO };
    let edge = TestEdge::start_with(folder.path(), policy);
    let refused = FakeCore::new().start_setup(edge.address, TOKEN).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
}

#[tokio::test]
async fn from_an_address_that_is_not_listed_nobody_adopts() {
    let folder = TempDir::new().unwrap();
    let policy = AdoptionPolicy { from: vec!["10.0.0.0/8".parse().unwrap()], window: Duration::from_secs(600) };
    let edge = TestEdge::start_with(folder.path(), policy);
    let refused = FakeCore::new().start_setup(edge.address, TOKEN).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn a_host_name_that_is_none_is_refused() {
    let (edge, _folder) = new_edge();
    let core = FakeCore::new();
    let mut setup = core.start_setup(edge.address, TOKEN).await.unwrap();
    for host in ["", "a b", "http://edge", "[::1]"] {
        assert_eq!(setup.signing_request(host).await.unwrap_err().code(), Code::InvalidArgument, "{host:?}");
    }
    setup.signing_request("edge.example.org").await.unwrap();
}

#[tokio::test]
async fn a_certificate_before_any_signing_request_is_refused() {
    let (edge, _folder) = new_edge();
    let core = FakeCore::new();
    let mut setup = core.start_setup(edge.address, TOKEN).await.unwrap();
    let refused = setup.send(CertBundle::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Internal);
}

#[tokio::test]
async fn only_the_key_of_the_last_signing_request_counts() {
    let (edge, _folder) = new_edge();
    let core = FakeCore::new();
    let mut setup = core.start_setup(edge.address, TOKEN).await.unwrap();
    let first = setup.signing_request("127.0.0.1").await.unwrap();
    let second = setup.signing_request("127.0.0.1").await.unwrap();
    assert_ne!(first, second);
    let refused = setup.send(core.authority().bundle(&first, core.client_certificate())).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_wrong_bundle_is_refused_with_a_sentence_and_nothing_is_stored() {
    let core = FakeCore::new();
    let ca = core.authority();
    let other = FakeCore::new();
    let foreign_key = KeyPair::generate().unwrap();
    let client = core.client_certificate();
    let cases: [(&str, BundleOf<'_>); 8] = [
        ("empty", Box::new(|_| CertBundle::default())),
        (
            "another key",
            Box::new(|request| {
                let leaf = ca.leaf("a", ExtendedKeyUsagePurpose::ServerAuth, &foreign_key);
                CertBundle { component_cert_der: leaf.to_vec(), ..ca.bundle(request, client) }
            }),
        ),
        (
            "component of another CA",
            Box::new(|request| CertBundle {
                component_cert_der: other.authority().sign(request).to_vec(),
                ..ca.bundle(request, client)
            }),
        ),
        (
            "component for a client",
            Box::new(|request| {
                let leaf = ca.sign_for(request, ExtendedKeyUsagePurpose::ClientAuth);
                CertBundle { component_cert_der: leaf.to_vec(), ..ca.bundle(request, client) }
            }),
        ),
        ("client of another CA", Box::new(|request| ca.bundle(request, other.client_certificate()))),
        ("client for a server", Box::new(|request| ca.bundle(request, &ca.sign(request)))),
        (
            "CA that is none",
            Box::new(|request| CertBundle { ca_cert_der: client.to_vec(), ..ca.bundle(request, client) }),
        ),
        (
            "garbage behind a certificate",
            Box::new(|request| {
                let mut bundle = ca.bundle(request, client);
                bundle.component_cert_der.push(0);
                bundle
            }),
        ),
    ];
    let (edge, folder) = new_edge();
    for (case, bundle) in cases {
        let mut setup = start_when_free(&core, edge.address).await;
        let request = setup.signing_request("127.0.0.1").await.unwrap();
        let refused = setup.send(bundle(&request)).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{case}");
        assert!(refused.message().contains("certificate"), "{case}: {}", refused.message());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "{case}");
    }
    drop(start_when_free(&core, edge.address).await);
}

fn new_edge() -> (TestEdge, TempDir) {
    let folder = TempDir::new().unwrap();
    (TestEdge::start(folder.path()), folder)
}

/// The end of an earlier attempt takes a moment to arrive.
async fn start_when_free(core: &FakeCore, edge: SocketAddr) -> Setup {
    loop {
        match core.start_setup(edge, TOKEN).await {
            Ok(setup) => return setup,
            Err(busy) => expect(&busy, Code::ResourceExhausted, "Setup already in progress"),
        }
    }
}

fn expect(status: &Status, code: Code, message: &str) {
    assert_eq!((status.code(), status.message()), (code, message));
}
