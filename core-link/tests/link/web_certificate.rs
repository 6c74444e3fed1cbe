//! Certificates that an Edge orders when Core tells it to, and what our own Edge hears of certificates.

use std::sync::{Arc, Mutex};

use postern_core_link::{
    CertificateOrder, Edge, IssuedCertificate, OrderError, OrderStep, WebCertificate, order_certificate,
    testing::{AcmeScript, FakeEdge, Manner, StockEdge},
};
use postern_proto::proxy::{HttpsCerts, core_response::Payload};
use tonic::Code;

use crate::{EDGE, connected, core, echo, in_time, stock_adoption::adopt};

fn order(account: Option<&str>) -> CertificateOrder {
    CertificateOrder { domain: "vpn.example.com".to_owned(), account: account.map(str::to_owned) }
}

/// An adopted stock Edge that changes its port over until the order reaches it.
async fn ordered(edge: &StockEdge, known: &Edge) -> (Result<IssuedCertificate, OrderError>, Vec<OrderStep>) {
    let steps = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&steps);
    let outcome = in_time(async {
        loop {
            let seen = Arc::clone(&seen);
            let told = move |step| seen.lock().expect("no panic before").push(step);
            let outcome = order_certificate(known, order(None), told).await;
            if !matches!(outcome, Err(OrderError::Dial(_))) {
                return outcome;
            }
        }
    })
    .await;
    assert_eq!(edge.acme_orders().len(), 1);
    let steps = steps.lock().expect("no panic before").clone();
    (outcome, steps)
}

async fn scripted(script: AcmeScript) -> (Result<IssuedCertificate, OrderError>, Vec<OrderStep>) {
    let edge = StockEdge::start().await;
    edge.script_acme(script);
    let known = adopt(&edge).await;
    ordered(&edge, &known).await
}

#[tokio::test]
async fn a_certificate_is_ordered_step_by_step_before_there_is_any_tunnel() {
    let script = AcmeScript::Issues("chain".to_owned(), "key".to_owned(), "account".to_owned());
    let (issued, steps) = scripted(script).await;
    let issued = issued.unwrap();
    assert_eq!(
        (issued.cert_pem.as_str(), issued.key_pem.as_str(), issued.account.as_str()),
        ("chain", "key", "account")
    );
    use OrderStep::{CheckingDomain, Connecting, IssuingCertificate, ValidatingDomain};
    assert_eq!(steps, [CheckingDomain, Connecting, ValidatingDomain, IssuingCertificate]);
    assert_eq!(format!("{issued:?}"), "IssuedCertificate(***)");
}

#[tokio::test]
async fn an_order_that_fails_comes_with_what_the_edge_logged() {
    let lines = vec!["no\nDNS record".to_owned()];
    let (failed, steps) = scripted(AcmeScript::Fails(lines, Code::FailedPrecondition, "domain check failed")).await;
    let Err(OrderError::Refused { code, message, log, .. }) = failed else { panic!("{failed:?}") };
    assert_eq!((code, message.as_str()), (Code::FailedPrecondition, "domain check failed"));
    assert_eq!(log, ["no DNS record"]);
    assert_eq!(steps.len(), 2);
}

#[tokio::test]
async fn an_order_that_ends_with_nothing_is_a_failure() {
    for script in [AcmeScript::EndsEmpty, AcmeScript::EmptyEvent] {
        let (failed, _) = scripted(script).await;
        assert!(matches!(failed, Err(OrderError::NoCertificate { .. })), "{failed:?}");
    }
}

#[tokio::test]
async fn an_order_at_an_edge_that_is_away_is_a_failed_dial() {
    let mut edge = FakeEdge::start(Manner::Ours).await;
    edge.crash().await;
    let failed = in_time(order_certificate(&edge.edge(EDGE), order(None), |_| {})).await;
    assert!(matches!(failed, Err(OrderError::Dial(_))), "{failed:?}");
}

#[tokio::test]
async fn an_edge_of_ours_hears_at_once_that_there_is_no_certificate_any_more() {
    let (_core, _edge, mut tunnel) = connected(Manner::Ours, echo).await;
    let mut kinds = Vec::new();
    for _ in 0..3 {
        kinds.push(in_time(tunnel.next()).await.unwrap().payload.unwrap());
    }
    assert!(
        matches!(kinds[..], [Payload::InitialInfo(_), Payload::SessionKeyRing(_), Payload::ClearHttpsCerts(())]),
        "{kinds:?}"
    );
}

#[tokio::test]
async fn every_live_tunnel_hears_of_another_certificate() {
    let core = core(echo);
    let mut edges = Vec::new();
    let mut known = Vec::new();
    for id in 1..=3 {
        let edge = FakeEdge::start(Manner::Ours).await;
        known.push(edge.edge(postern_core_link::EdgeId(id)));
        edges.push(edge);
    }
    core.set_edges(known);
    let mut tunnels = Vec::new();
    for edge in &mut edges {
        tunnels.push(in_time(edge.tunnel()).await);
    }
    core.set_web_certificate(Some(WebCertificate::new("cert".to_owned(), "key".to_owned())));
    let expected = HttpsCerts { cert_pem: "cert".to_owned(), key_pem: "key".to_owned() };
    for tunnel in &mut tunnels {
        in_time(async {
            while tunnel.next().await.expect("the tunnel is up").payload != Some(Payload::HttpsCerts(expected.clone()))
            {
            }
        })
        .await;
    }
}
