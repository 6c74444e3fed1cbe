//! The adoption of a stock Edge.

use std::time::Duration;

use postern_core_link::{
    AdoptFailure, Adoption, Bundle, Edge,
    testing::{FakeAuthority, StockEdge, StockSettings},
};
use tonic::Code;
use x509_parser::{
    certification_request::X509CertificationRequest, extensions::ParsedExtension, prelude::FromDer as _,
};

use crate::{EDGE, in_time};

/// What Core keeps of it.
pub(crate) async fn adopt(edge: &StockEdge) -> Edge {
    let authority = FakeAuthority::new();
    let adoption = in_time(Adoption::start(edge.address())).await.expect("it waits for its adoption");
    let requested = in_time(adoption.csr()).await.expect("a request");
    let (bundle, trust) = authority.bundle(requested.csr());
    in_time(requested.send(bundle)).await.expect("it fits");
    Edge { id: EDGE, address: edge.address().clone(), trust }
}

async fn failure(edge: &StockEdge) -> AdoptFailure {
    in_time(Adoption::start(edge.address())).await.expect_err("it refuses").failure
}

fn refused(failure: &AdoptFailure) -> (Code, &str) {
    let AdoptFailure::Refused { code, message } = failure else { panic!("{failure:?}") };
    (*code, message)
}

#[tokio::test]
async fn a_stock_edge_asks_for_the_one_name_under_which_it_was_dialled() {
    let edge = StockEdge::start().await;
    let requested = in_time(in_time(Adoption::start(edge.address())).await.unwrap().csr()).await.unwrap();

    let (_, csr) = X509CertificationRequest::from_der(requested.csr()).unwrap();
    assert_eq!(csr.certification_request_info.subject.to_string(), "CN=Defguard Proxy, O=Defguard");
    let mut names = csr.requested_extensions().unwrap().filter_map(|extension| {
        if let ParsedExtension::SubjectAlternativeName(names) = extension {
            Some(names.general_names.len())
        } else {
            None
        }
    });
    assert_eq!((names.next(), names.next()), (Some(1), None));
    assert_eq!(requested.peer().version.to_string(), "2.0.0+2f1c9aa");
}

#[tokio::test]
async fn a_second_start_is_refused_until_the_first_is_given_up() {
    let edge = StockEdge::start().await;
    let first = in_time(Adoption::start(edge.address())).await.unwrap();

    assert_eq!(refused(&failure(&edge).await), (Code::ResourceExhausted, "Setup already in progress"));

    drop(first);
    in_time(async {
        while let Err(error) = Adoption::start(edge.address()).await {
            assert_eq!(refused(&error.failure).0, Code::ResourceExhausted);
        }
    })
    .await;
}

#[tokio::test]
async fn a_stock_edge_whose_window_is_over_says_so() {
    let settings = StockSettings { adoption_window: Duration::ZERO, ..StockSettings::default() };
    let edge = StockEdge::start_with(settings).await;
    assert_eq!(refused(&failure(&edge).await).0, Code::FailedPrecondition);
}

#[tokio::test]
async fn a_stock_edge_that_is_too_old_is_not_adopted() {
    let settings = StockSettings { version: "1.6.2", ..StockSettings::default() };
    let edge = StockEdge::start_with(settings).await;
    assert!(matches!(failure(&edge).await, AdoptFailure::Version(_)));
    assert!(!edge.is_adopted());
}

#[tokio::test]
async fn a_bundle_that_does_not_fit_is_refused_and_the_edge_can_be_adopted_after_it() {
    let edge = StockEdge::start().await;
    for damage in 0..4 {
        let requested = in_time(in_time(Adoption::start(edge.address())).await.unwrap().csr()).await.unwrap();
        let (mut bundle, _) = FakeAuthority::new().bundle(requested.csr());
        let stranger = FakeAuthority::new();
        match damage {
            0 => bundle.edge_cert = stranger.sign(requested.csr()),
            1 => bundle.client_cert = stranger.client().0,
            2 => bundle.ca_cert = stranger.cert().clone(),
            _ => bundle = Bundle { edge_cert: bundle.client_cert.clone(), ..bundle },
        }
        let error = in_time(requested.send(bundle)).await.unwrap_err();
        assert_eq!(refused(&error.failure).0, Code::InvalidArgument, "damage {damage}");
    }
    adopt(&edge).await;
    assert!(edge.is_adopted());
}

#[tokio::test]
async fn a_stock_edge_that_is_adopted_answers_with_tls_only() {
    let edge = StockEdge::start().await;
    adopt(&edge).await;
    in_time(async {
        // While it changes its port over, nobody listens there.
        while !matches!(failure(&edge).await, AdoptFailure::AlreadyAdopted) {}
    })
    .await;
}
