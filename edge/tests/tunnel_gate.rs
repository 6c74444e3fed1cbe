//! Who may call what on the port that Cores dial, and what the refused hear.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{net::SocketAddr, time::Duration};

use postern_edge::testing::{FakeCore, TestEdge, adopted_edge, empty, eventually};
use postern_proto::{proxy::AcmeChallenge, version};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};
use tonic::{Code, Request, Status, client::Grpc, codegen::http::uri::PathAndQuery};
use tonic_prost::ProstCodec;

#[tokio::test]
async fn a_core_without_version_headers_is_refused() {
    let (edge, core, _folder) = adopted().await;
    let refused = core.client(edge.address).await.unwrap().purge(Request::new(())).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    let expected = "Missing version headers: this edge needs a Core of 2.0.0 or later; update it";
    assert_eq!(refused.message(), expected);
    expect_introduced(&refused);
    assert!(edge.identity.current().is_some());
}

#[tokio::test]
async fn a_core_that_is_too_old_is_refused() {
    let (edge, core, _folder) = adopted().await;
    for (announced, accepted) in [("1.6.0", false), ("2.0.0-alpha1", true), ("3.1.0", true)] {
        let mut request = core.introduced(AcmeChallenge::default());
        request.metadata_mut().insert(version::COMPONENT_VERSION, announced.parse().unwrap());
        let refused = core.client(edge.address).await.unwrap().trigger_acme(request).await.unwrap_err();
        let expected = if accepted { Code::PermissionDenied } else { Code::FailedPrecondition };
        assert_eq!(refused.code(), expected, "{announced}: {}", refused.message());
        let says_what_to_do = refused.message().starts_with("Version 1.6.0 not supported: ")
            && refused.message().contains("needs a Core of 2.0.0 or later; update Core");
        assert_eq!(says_what_to_do, !accepted, "{}", refused.message());
        expect_introduced(&refused);
    }
}

#[tokio::test]
async fn an_order_for_a_certificate_that_is_forbidden_is_refused_with_the_reason() {
    let (edge, core, _folder) = adopted().await;
    let request = core.introduced(AcmeChallenge::default());
    let refused = core.client(edge.address).await.unwrap().trigger_acme(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(refused.message().contains("acme_allowed"), "{}", refused.message());
}

#[tokio::test]
async fn an_unknown_call_is_unimplemented() {
    let core = FakeCore::new();
    let folder = TempDir::new().unwrap();
    let edge = TestEdge::start(folder.path());
    for path in ["/defguard.proxy.v2.ProxySetup/Other", "/defguard.proxy.v2.Proxy/Bidi", "/x"] {
        let channel = tonic::transport::Endpoint::from_shared(format!("http://{}", edge.address)).unwrap();
        let mut grpc = Grpc::new(channel.connect().await.unwrap());
        grpc.ready().await.unwrap();
        let call = grpc.unary(core.introduced(()), PathAndQuery::from_static(path), ProstCodec::<(), ()>::default());
        let refused = call.await.unwrap_err();
        assert_eq!(refused.code(), Code::Unimplemented, "{path}");
        expect_introduced(&refused);
    }
}

#[tokio::test]
async fn a_tunnel_of_an_impostor_is_refused() {
    let (edge, core, _folder) = adopted().await;
    let refused = core.impostor().try_connect(edge.address, std::sync::Arc::new(|_| empty())).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert_eq!(refused.message(), "Client certificate serial mismatch");
    expect_introduced(&refused);
    assert!(!edge.registry.is_connected());
}

#[tokio::test]
async fn a_tunnel_and_calls_beside_it_share_the_port() {
    let (edge, core, _folder) = adopted().await;
    let _tunnel = core.connect(edge.address, |_| empty()).await;
    let request = core.introduced(AcmeChallenge::default());
    let beside = core.client(edge.address).await.unwrap().trigger_acme(request).await.unwrap_err();
    assert_eq!(beside.code(), Code::PermissionDenied);
    eventually("the tunnel stays up", || edge.registry.tunnel_count() == 1).await;
}

#[tokio::test]
async fn who_connects_and_says_nothing_is_cut_off() {
    let core = FakeCore::new();
    let folder = TempDir::new().unwrap();
    let unadopted = TestEdge::start(folder.path());
    let mut plain = TcpStream::connect(unadopted.address).await.unwrap();
    let (edge, _core, _other_folder) = adopted().await;
    let mut tls = TcpStream::connect(edge.address).await.unwrap();
    tls.write_all(b"\x16\x03\x01").await.unwrap();
    let cut = tokio::time::timeout(Duration::from_secs(8), async {
        tls.read_to_end(&mut Vec::new()).await.unwrap();
        plain.read_to_end(&mut Vec::new()).await.unwrap();
    });
    cut.await.expect("within eight seconds");
    core.adopt(unadopted.address).await.unwrap();
}

#[tokio::test]
async fn beyond_the_limit_connections_are_refused_and_the_port_recovers() {
    let (edge, core, _folder) = adopted().await;
    let mut idle = Vec::new();
    for host in 2..6 {
        for _ in 0..16 {
            idle.push(connect_from(host, edge.address).await);
        }
    }
    expect_closed_at_once(connect_from(6, edge.address).await).await;
    drop(idle);
    while core.client(edge.address).await.is_err() {}
}

#[tokio::test]
async fn one_address_cannot_take_every_place() {
    let (edge, core, _folder) = adopted().await;
    let mut idle = Vec::new();
    for _ in 0..16 {
        idle.push(connect_from(2, edge.address).await);
    }
    expect_closed_at_once(connect_from(2, edge.address).await).await;
    let _tunnel = core.connect(edge.address, |_| empty()).await;
    eventually("the edge is ready", || edge.registry.is_ready()).await;
}

#[tokio::test]
async fn after_another_adoption_the_certificate_of_the_first_is_refused() {
    let (edge, core, _folder) = adopted().await;
    let mut old = core.client(edge.address).await.unwrap();
    core.purge(edge.address).await.unwrap();
    core.impostor().adopt(edge.address).await.unwrap();
    assert!(old.purge(core.introduced(())).await.is_err());
    assert!(edge.identity.current().is_some());
}

async fn adopted() -> (TestEdge, FakeCore, TempDir) {
    let (core, folder) = (FakeCore::new(), TempDir::new().unwrap());
    (adopted_edge(folder.path(), &core).await, core, folder)
}

/// A connection from 127.0.0.`host`.
async fn connect_from(host: u8, edge: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, host], 0).into()).unwrap();
    socket.connect(edge).await.unwrap()
}

async fn expect_closed_at_once(mut connection: TcpStream) {
    let mut byte = [0; 1];
    let read = tokio::time::timeout(Duration::from_secs(2), connection.read(&mut byte));
    assert_eq!(read.await.expect("closed at once").unwrap_or(0), 0);
}

fn expect_introduced(refused: &Status) {
    assert_eq!(refused.metadata().get(version::COMPONENT_VERSION).unwrap(), version::ANNOUNCED);
    assert!(refused.metadata().contains_key(version::COMPONENT_SYSTEM));
}
