//! After adoption: who still has rights, Purge, reset, restart.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::net::SocketAddr;

use postern_edge::{
    identity::{self, IdentityStore},
    testing::{FakeCore, Setup, TestEdge, adopted_edge, empty, eventually},
    tunnel::registry::ServerState,
};
use tempfile::TempDir;
use tonic::{Code, Status};

const TOKEN: &str = "Bearer adoption";

#[tokio::test]
async fn a_plaintext_connection_from_before_adoption_has_no_rights_after_it() {
    let (edge, _folder) = new_edge();
    let (core, late) = (FakeCore::new(), FakeCore::new());
    let early_connection = late.setup_client(edge.address).await;
    // The connection is let in and on its probation: the server has seen it.
    core.adopt(edge.address).await.unwrap();
    let refused = Setup::start(early_connection, TOKEN).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn a_session_that_began_before_another_adopted_cannot_send_its_certificate() {
    let (edge, _folder) = new_edge();
    let (core, slow) = (FakeCore::new(), FakeCore::new());
    let mut slow_setup = slow.start_setup(edge.address, TOKEN).await.unwrap();
    let request = slow_setup.signing_request("127.0.0.1").await.unwrap();
    slow_setup.log.take();
    adopt_when_free(&core, edge.address).await;
    let refused = slow_setup.send(slow.authority().bundle(&request, slow.client_certificate())).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn an_adopted_edge_speaks_no_plaintext() {
    let core = FakeCore::new();
    let folder = TempDir::new().unwrap();
    let edge = adopted_edge(folder.path(), &core).await;
    assert!(core.start_setup(edge.address, TOKEN).await.is_err());
}

#[tokio::test]
async fn only_the_core_that_adopted_may_call() {
    let core = FakeCore::new();
    let folder = TempDir::new().unwrap();
    let edge = adopted_edge(folder.path(), &core).await;
    let refused = core.impostor().purge(edge.address).await.unwrap_err();
    expect(&refused, Code::Unauthenticated, "Client certificate serial mismatch");
    assert!(edge.identity.current().is_some());
    assert!(FakeCore::new().purge(edge.address).await.is_err(), "a client of another CA fails in TLS");
}

#[tokio::test]
async fn purge_brings_the_edge_back_to_adoption_by_the_same_ca_only() {
    let core = FakeCore::new();
    let (edge, folder) = new_edge();
    core.adopt(edge.address).await.unwrap();
    let tunnel = core.connect(edge.address, |_| empty()).await;
    eventually("the edge is ready", || edge.registry.is_ready()).await;
    tunnel.purge().await.unwrap();
    eventually("the tunnel ends", || tunnel.has_ended() && !edge.registry.is_connected()).await;
    assert_eq!(edge.registry.server_state(), ServerState::Setup);
    assert_eq!(edge.registry.core_version(), None);
    assert!(edge.keys.current().is_none());
    assert_eq!(file_names(&folder), ["adopted_by_ca"]);

    let refused = FakeCore::new().adopt(edge.address).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(refused.message().contains("postern-edge reset"), "{}", refused.message());
    adopt_when_free(&core, edge.address).await;
}

#[tokio::test]
async fn after_a_reset_any_ca_may_adopt() {
    let core = FakeCore::new();
    let (edge, folder) = new_edge();
    core.adopt(edge.address).await.unwrap();
    core.purge(edge.address).await.unwrap();
    edge.stop().await;
    identity::reset(folder.path()).unwrap();
    let edge = TestEdge::start(folder.path());
    FakeCore::new().adopt(edge.address).await.unwrap();
}

#[tokio::test]
async fn an_identity_survives_a_restart() {
    let core = FakeCore::new();
    let (edge, folder) = new_edge();
    core.adopt(edge.address).await.unwrap();
    edge.stop().await;
    let edge = TestEdge::start(folder.path());
    let _tunnel = core.connect(edge.address, |_| empty()).await;
    eventually("the edge is ready", || edge.registry.is_ready()).await;
}

#[tokio::test]
async fn the_files_are_for_the_owner_only_and_named_as_a_stock_edge_names_them() {
    use std::os::unix::fs::PermissionsExt as _;
    let parent = TempDir::new().unwrap();
    let folder = parent.path().join("identity");
    let edge = TestEdge::start(&folder);
    FakeCore::new().adopt(edge.address).await.unwrap();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    for name in ["core_client_cert.pem", "grpc_ca_cert.pem", "proxy_grpc_cert.pem", "proxy_grpc_key.pem"] {
        assert_eq!(mode(&folder.join(name)), 0o600, "{name}");
    }
    assert!(IdentityStore::open(&folder).unwrap().current().is_some());
}

fn new_edge() -> (TestEdge, TempDir) {
    let folder = TempDir::new().unwrap();
    (TestEdge::start(folder.path()), folder)
}

/// The end of an earlier attempt takes a moment to arrive.
async fn adopt_when_free(core: &FakeCore, edge: SocketAddr) {
    while let Err(busy) = core.adopt(edge).await {
        expect(&busy, Code::ResourceExhausted, "Setup already in progress");
    }
}

fn expect(status: &Status, code: Code, message: &str) {
    assert_eq!((status.code(), status.message()), (code, message));
}

fn file_names(folder: &TempDir) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
