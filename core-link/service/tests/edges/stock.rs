//! A whole Core and an Edge that behaves as a stock one.

use postern_core::{activity::Origin, edges::Stage};
use postern_core_link::{
    LinkState,
    testing::{FakeEdge, Manner, Pushed, StockEdge},
};
use postern_proto::{
    client_types::{EnrollmentStartRequest, InstanceInfoRequest},
    proxy::{AcmeCertificate, core_request, core_response::Payload},
    rejection::Code,
};

use crate::core::{Core, is_connected, stages, until};

#[tokio::test]
async fn a_stock_edge_is_adopted_served_and_let_go() {
    let (folder, edge) = (tempfile::tempdir().unwrap(), StockEdge::start().await);
    let core = Core::start(folder.path()).await;
    let id = core.add(edge.address()).await.unwrap();
    until(async || edge.is_ready()).await;
    assert_eq!(stages(&core).await, [Stage::Adopted]);

    let start = core_request::Payload::EnrollmentStart(EnrollmentStartRequest { token: "a".repeat(32) });
    assert_eq!(refusal(edge.request(start).await.unwrap()), (Code::Unauthenticated as i32, "invalid token".to_owned()));
    let poll = core_request::Payload::InstanceInfo(InstanceInfoRequest { token: "a".repeat(32) });
    assert_eq!(refusal(edge.request(poll).await.unwrap()).0, Code::PermissionDenied as i32);

    until(async || is_connected(&core).await).await;
    let removed = core.edges.remove(&Origin::command_line(), &id.to_string()).await.unwrap();
    assert!(removed.left_behind.is_none());
    assert!(!edge.is_adopted());
    assert_eq!(edge.pushed(), [Pushed::InitialInfo]);
    until(async || core.add(edge.address()).await.is_ok()).await;
    until(async || edge.is_ready()).await;
}

#[tokio::test]
async fn a_certificate_that_comes_unasked_is_refused_and_noted() {
    let (folder, edge) = (tempfile::tempdir().unwrap(), StockEdge::start().await);
    let core = Core::start(folder.path()).await;
    core.add(edge.address()).await.unwrap();
    until(async || edge.is_ready()).await;

    let unasked = core_request::Payload::AcmeCertificate(AcmeCertificate {
        cert_pem: "cert".to_owned(),
        key_pem: "canary".to_owned(),
        account_credentials_json: "canary".to_owned(),
    });
    let refused = refusal(edge.request(unasked).await.unwrap());

    assert_eq!(refused, (Code::PermissionDenied as i32, "no certificate was ordered".to_owned()));
    assert_eq!(core.events().await.last().unwrap(), "acme_certificate refused");
    assert!(core.certificates.show().await.unwrap().is_none());
    assert_eq!(edge.pushed(), [Pushed::InitialInfo]);
}

#[tokio::test]
async fn an_edge_whose_version_does_not_fit_is_shown_as_incompatible() {
    let (folder, edge) = (tempfile::tempdir().unwrap(), FakeEdge::unadopted(Manner::Ours).await);
    let core = Core::start(folder.path()).await;
    core.add(edge.address()).await.unwrap();
    until(async || is_connected(&core).await).await;
    core.stop().await;

    edge.behave(Manner::Announces("1.6.2"));
    let core = Core::start(folder.path()).await;
    let reason = async || {
        let status = core.list().await.remove(0).status?;
        if let LinkState::Incompatible { reason, .. } = status.state { Some(reason) } else { None }
    };
    until(async || reason().await.is_some()).await;
    let reason = reason().await.unwrap();
    assert!(reason.contains("install version 2.0.0 or newer there"), "{reason}");
}

fn refusal(reply: Payload) -> (i32, String) {
    let Payload::CoreError(error) = reply else { panic!("{reply:?}") };
    (error.status_code, error.message)
}
