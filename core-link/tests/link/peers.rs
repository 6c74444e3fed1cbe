//! Whom Core speaks to, and what it says of itself.

use postern_core_link::{
    CoreInstance, Edge, LinkState, LinkStatus, SupervisorConfig,
    testing::{FakeAuthority, FakeEdge, Manner},
};
use postern_proto::version;
use tonic::Code;

use crate::{EDGE, config, connected, core, dial_error, echo, in_time, is_connected, status};

async fn error_of(edge: Edge) -> String {
    let core = core(echo);
    core.set_edges(vec![edge]);
    dial_error(&core).await
}

async fn error_with(manner: Manner) -> String {
    let edge = FakeEdge::start(manner).await;
    error_of(edge.edge(EDGE)).await
}

#[tokio::test]
async fn core_introduces_itself_on_each_tunnel() {
    let mut edge = FakeEdge::start(Manner::Ours).await;
    let config = config();
    let instance = config.instance.as_str().to_owned();
    let core = postern_core_link::Supervisor::start(config, crate::Answering(echo));
    core.set_edges(vec![edge.edge(EDGE)]);
    let tunnel = in_time(edge.tunnel()).await;
    let header = |name| tunnel.headers().get(name).map(|value| value.to_str().unwrap());
    assert_eq!(header(version::COMPONENT_VERSION), Some(version::ANNOUNCED));
    assert_eq!(header(version::COMPONENT_SYSTEM), Some(version::system().as_str()));
    assert_eq!(header(version::LINK), Some("1"));
    assert_eq!(header(version::CORE_INSTANCE), Some(instance.as_str()));
    assert_eq!(header(version::CORE_ZONE), None);
}

#[tokio::test]
async fn a_core_that_was_told_its_zone_says_so() {
    let mut edge = FakeEdge::start(Manner::Ours).await;
    let instance = CoreInstance::random().in_zone("north".parse().unwrap());
    let config = SupervisorConfig { instance, ..config() };
    let core = postern_core_link::Supervisor::start(config, crate::Answering(echo));
    core.set_edges(vec![edge.edge(EDGE)]);
    let tunnel = in_time(edge.tunnel()).await;
    assert_eq!(tunnel.headers().get(version::CORE_ZONE).unwrap(), "north");
}

#[tokio::test]
async fn the_version_of_the_edge_is_known() {
    let (core, _edge, _tunnel) = connected(Manner::Announces("2.1.0+build.5"), echo).await;
    let LinkState::Connected { peer_version, .. } = status(&core, is_connected).await.state else {
        panic!("not connected")
    };
    assert_eq!(peer_version.to_string(), "2.1.0+build.5");
}

#[tokio::test]
async fn another_edge_of_the_same_authority_is_refused() {
    let error = error_with(Manner::Impostor).await;
    assert!(error.contains("presented another identity than the adopted one"), "{error}");
}

#[tokio::test]
async fn a_stranger_is_refused() {
    let error = error_with(Manner::Stranger).await;
    assert!(error.contains("presented another identity than the adopted one"), "{error}");
}

#[tokio::test]
async fn a_pinned_certificate_of_another_authority_is_refused() {
    let edge = FakeEdge::start(Manner::Ours).await;
    let mut known = edge.edge(EDGE);
    known.trust.ca_cert = FakeAuthority::new().cert().clone();
    let error = error_of(known).await;
    assert!(error.contains("no TLS session") && error.contains("invalid peer certificate"), "{error}");
}

#[tokio::test]
async fn a_certificate_for_another_host_is_refused() {
    let edge = FakeEdge::start(Manner::Ours).await;
    let mut known = edge.edge(EDGE);
    known.address = format!("localhost:{}", edge.address().port()).parse().unwrap();
    let error = error_of(known).await;
    assert!(error.contains("no TLS session") && error.contains("not valid for name"), "{error}");
}

#[tokio::test]
async fn an_edge_that_speaks_only_old_tls_is_refused() {
    let error = error_with(Manner::OldTls).await;
    assert!(error.contains("no TLS session"), "{error}");
}

#[tokio::test]
async fn an_edge_that_refuses_our_certificate_is_a_matter_of_identity() {
    let edge = FakeEdge::start(Manner::Ours).await;
    let mut known = edge.edge(EDGE);
    (known.trust.client_cert, known.trust.client_key) = FakeAuthority::new().client();
    let error = error_of(known).await;
    assert!(error.contains("no TLS session"), "{error}");
}

#[tokio::test]
async fn a_stored_identity_that_cannot_be_used_is_named() {
    let edge = FakeEdge::start(Manner::Ours).await;
    let mut known = edge.edge(EDGE);
    (_, known.trust.client_key) = FakeAuthority::new().client();
    let error = error_of(known).await;
    assert!(error.contains("the identity stored for"), "{error}");
}

#[tokio::test]
async fn an_edge_without_an_identity_is_not_spoken_to() {
    let edge = FakeEdge::unadopted(Manner::Ours).await;
    let known = Edge { address: edge.address().clone(), ..FakeEdge::start(Manner::Ours).await.edge(EDGE) };
    let error = error_of(known).await;
    assert!(error.contains("no TLS session"), "{error}");
}

#[tokio::test]
async fn an_old_edge_is_refused() {
    let error = error_with(Manner::Announces("1.6.2")).await;
    assert!(error.contains("Version 1.6.2 not supported"), "{error}");
    let error = error_with(Manner::Announces("newest")).await;
    assert!(error.contains("Missing version headers"), "{error}");
}

#[tokio::test]
async fn the_words_of_an_edge_that_refuses_are_kept() {
    let error = error_with(Manner::Refuses(Code::FailedPrecondition, "Version 2.0.1 not\x1b[31m supported")).await;
    assert!(error.contains("Version 2.0.1 not [31m supported"), "{error}");
}

#[tokio::test]
async fn versions_that_do_not_fit_are_a_state_of_their_own() {
    for manner in [
        Manner::Announces("1.6.2"),
        Manner::Refuses(Code::FailedPrecondition, "Version 2.0.1 not supported"),
        Manner::Announces("no version"),
    ] {
        let mut edge = FakeEdge::start(manner).await;
        let core = core(echo);
        core.set_edges(vec![edge.edge(EDGE)]);
        let incompatible = |status: &LinkStatus| matches!(status.state, LinkState::Incompatible { .. });
        status(&core, incompatible).await;
        edge.behave(Manner::Ours);
        edge.crash().await;
        edge.restart().await;
        in_time(edge.tunnel()).await;
        status(&core, is_connected).await;
    }
}

#[tokio::test]
async fn nobody_there_is_said_so() {
    let mut edge = FakeEdge::start(Manner::Ours).await;
    edge.crash().await;
    let error = error_of(edge.edge(EDGE)).await;
    assert!(error.contains("cannot reach 127.0.0.1:") && error.contains("refused"), "{error}");
}
