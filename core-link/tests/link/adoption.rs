//! A new Edge gets its identity.

use postern_core_link::{
    AdoptFailure, Adoption, Bundle, Edge,
    testing::{FakeAuthority, FakeEdge, Manner},
};
use tonic::Code;
use x509_parser::{
    certification_request::X509CertificationRequest,
    extensions::{GeneralName, ParsedExtension, SubjectAlternativeName},
    prelude::FromDer,
};

use crate::{EDGE, core, echo, in_time};

async fn failure(edge: &FakeEdge) -> AdoptFailure {
    in_time(Adoption::start(edge.address())).await.expect_err("a bad Edge").failure
}

fn only(name: GeneralName<'_>) -> ParsedExtension<'_> {
    ParsedExtension::SubjectAlternativeName(SubjectAlternativeName { general_names: vec![name] })
}

#[tokio::test]
async fn an_adopted_edge_is_dialled_with_what_came_of_it() {
    let mut edge = FakeEdge::unadopted(Manner::Ours).await;
    let adoption = in_time(Adoption::start(edge.address())).await.unwrap();
    assert!(adoption.peer().speaks_link);
    let requested = in_time(adoption.csr()).await.unwrap();
    let (bundle, trust) = FakeAuthority::new().bundle(requested.csr());

    in_time(requested.send(bundle)).await.unwrap();

    let core = core(echo);
    core.set_edges(vec![Edge { id: EDGE, address: edge.address().clone(), trust }]);
    in_time(edge.tunnel()).await;
}

#[tokio::test]
async fn the_edge_is_asked_for_a_certificate_for_the_host_that_was_dialled() {
    let edge = FakeEdge::unadopted(Manner::Ours).await;
    for (host, name) in
        [("127.0.0.1", GeneralName::IPAddress(&[127, 0, 0, 1])), ("localhost", GeneralName::DNSName("localhost"))]
    {
        let address = format!("{host}:{}", edge.address().port()).parse().unwrap();
        let requested = in_time(in_time(Adoption::start(&address)).await.unwrap().csr()).await.unwrap();
        let (_, csr) = X509CertificationRequest::from_der(requested.csr()).unwrap();
        let extensions = csr.requested_extensions().expect("the request names hosts");
        let names: Vec<_> = extensions.map(|extension| format!("{extension:?}")).collect();
        assert_eq!(names, [format!("{:?}", only(name))]);
    }
}

#[tokio::test]
async fn an_edge_that_speaks_tls_is_adopted_already() {
    let edge = FakeEdge::start(Manner::Ours).await;
    let failure = failure(&edge).await;
    assert!(matches!(failure, AdoptFailure::AlreadyAdopted), "{failure:?}");
    assert!(failure.to_string().contains("postern-edge reset"));
}

#[tokio::test]
async fn an_old_edge_is_not_adopted() {
    let edge = FakeEdge::unadopted(Manner::Announces("1.6.0")).await;
    assert!(matches!(failure(&edge).await, AdoptFailure::Version(_)));
}

#[tokio::test]
async fn the_words_of_an_edge_that_refuses_are_given() {
    let edge = FakeEdge::unadopted(Manner::Refuses(Code::PermissionDenied, "not from here")).await;
    let failure = failure(&edge).await;
    assert_eq!(failure.to_string(), "it refused (PermissionDenied): not from here");
    assert!(!failure.is_uncertain());
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let mut edge = FakeEdge::unadopted(Manner::Ours).await;
    edge.crash().await;
    let error = in_time(Adoption::start(edge.address())).await.unwrap_err();
    assert!(matches!(error.failure, AdoptFailure::Unreachable(_)));
    assert_eq!(error.to_string(), format!("cannot adopt the Edge at {}", edge.address()));
}

#[tokio::test]
async fn an_edge_that_hangs_up_is_lost() {
    let edge = FakeEdge::unadopted(Manner::HangsUp).await;
    assert!(matches!(failure(&edge).await, AdoptFailure::Lost(_)));
}

#[tokio::test]
async fn a_refused_bundle_comes_with_what_the_edge_logged() {
    let edge = FakeEdge::unadopted(Manner::Ours).await;
    let requested = in_time(in_time(Adoption::start(edge.address())).await.unwrap().csr()).await.unwrap();
    let empty = Bundle { edge_cert: vec![].into(), ca_cert: vec![].into(), client_cert: vec![].into() };

    let error = in_time(requested.send(empty)).await.unwrap_err();

    assert!(matches!(error.failure, AdoptFailure::Refused { code: Code::InvalidArgument, .. }), "{error:?}");
    assert_eq!(error.log.len(), 1);
    assert!(error.log[0].contains("INFO") && error.log[0].contains("adoption begun"), "{:?}", error.log);
    assert!(!edge.is_adopted());
}
