//! A certificate that Core asks for: ordered at a real authority, and what happens when that does not work.

use std::{net::SocketAddr, time::Duration};

use postern_edge::testing::{Answer, FakeCore, eventually, free_address};
use postern_proto::proxy::{
    AcmeCertificate, AcmeChallenge, AcmeIssueEvent, HttpsCerts, acme_issue_event::Payload, core_response,
};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tokio::net::TcpListener;
use tonic::{Code, Status, Streaming};

use crate::{
    certificates::{NAME, leaf},
    client,
    fake_authority::{FakeAuthority, Habit},
    pebble::Pebble,
    program::Program,
};

const STEPS: [&str; 4] = [
    "ACME_STEP_CHECKING_DOMAIN",
    "ACME_STEP_CONNECTING",
    "ACME_STEP_VALIDATING_DOMAIN",
    "ACME_STEP_ISSUING_CERTIFICATE",
];

#[tokio::test(flavor = "multi_thread")]
async fn core_gets_a_certificate_before_there_is_any_tunnel() {
    let pebble = Pebble::start().await;
    let mut arguments = pebble.arguments();
    arguments.push("--log-level=trace".to_owned());
    let (edge, core) = adopted(&arguments).await;
    let outcome = order(&edge, &core, NAME, "").await;
    assert_eq!(outcome.steps, STEPS);
    let issued = outcome.certificate.unwrap();
    assert!(std::net::TcpStream::connect(pebble.looks_at).is_err(), "the port is closed again");
    let (_, account_key) = issued.account_credentials_json.split_once(r#""key_pkcs8":""#).unwrap();
    for secret in [&issued.key_pem[60..100], &account_key[60..100]] {
        assert!(!edge.log().contains(secret), "{}", edge.log());
    }
    assert!(edge.log_lines("cannot listen") == 0 && edge.log_lines("DEBUG") > 0, "{}", edge.log());

    // What was issued is what people get once Core sends it.
    let tunnel = core.connect(edge.tunnel, |_| Answer::Nothing).await;
    let certificate = HttpsCerts { cert_pem: issued.cert_pem, key_pem: issued.key_pem };
    tunnel.push(core_response::Payload::HttpsCerts(certificate.clone())).await;
    edge.wait_for_https().await;
    let issuer = CertificateDer::pem_slice_iter(certificate.cert_pem.as_bytes()).nth(1).unwrap().unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(issuer).unwrap();
    let stream = client::connect(edge.https, roots).await.unwrap();
    assert_eq!(client::shown(&stream), leaf(&certificate));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_account_that_core_keeps_is_used_again_and_given_back_as_it_was() {
    let pebble = Pebble::start().await;
    let (edge, core) = adopted(&pebble.arguments()).await;
    let first = order(&edge, &core, NAME, "").await.certificate.unwrap();
    let kept = first.account_credentials_json;
    let second = order(&edge, &core, "other.example.org", &kept).await.certificate.unwrap();
    assert_eq!(second.account_credentials_json, kept);
    assert_ne!(second.key_pem, first.key_pem, "each certificate has its own key");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_of_another_authority_or_none_at_all_is_replaced() {
    let (old, pebble) = (Pebble::start().await, Pebble::start().await);
    let (elsewhere, core) = adopted(&old.arguments()).await;
    let foreign = order(&elsewhere, &core, NAME, "").await.certificate.unwrap().account_credentials_json;
    let (edge, core) = adopted(&pebble.arguments()).await;
    let own = order(&edge, &core, NAME, "").await.certificate.unwrap().account_credentials_json;
    let forgotten = own.replace("/my-account/", "/my-account/0");
    assert_ne!(forgotten, own);
    for kept in [foreign.as_str(), "{}", "no json", &forgotten] {
        let issued = order(&edge, &core, NAME, kept).await.certificate.unwrap_or_else(|| panic!("{}", edge.log()));
        assert!(
            issued.account_credentials_json != kept && directory(&issued.account_credentials_json) == directory(&own)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_plain_http_is_on_the_authoritys_port_it_is_served_all_the_time() {
    let http = free_address();
    let pebble = Pebble::start_looking_at(http).await;
    let mut arguments = pebble.arguments();
    arguments.extend(["--trusted-proxies=127.0.0.1".to_owned()]);
    let (edge, core) = adopted_at(http, &arguments).await;
    let asking = async {
        loop {
            assert_eq!(client::get(http, "/livez").await.status, 200, "no outage");
        }
    };
    let outcome = tokio::select! {
        outcome = order(&edge, &core, NAME, "") => outcome,
        () = asking => unreachable!("it asks for ever"),
    };
    assert_eq!(outcome.steps, STEPS);
    assert!(outcome.certificate.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_that_leads_elsewhere_is_explained() {
    let pebble = Pebble::start().await;
    pebble.lead("wrong.example.org", "127.0.0.77").await;
    let (edge, core) = adopted(&pebble.arguments()).await;
    let outcome = order(&edge, &core, "wrong.example.org", "").await;
    assert_eq!(outcome.steps, STEPS[..3]);
    let (lines, status) = outcome.failure.unwrap();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(lines[0].contains("must reach port 80") && lines[1].starts_with("connection: "), "{lines:?}");
    assert!(std::net::TcpStream::connect(pebble.looks_at).is_err(), "the port is closed again");
    order(&edge, &core, NAME, "").await.certificate.expect("the next order is taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_domain_is_not_even_sent_to_the_authority() {
    let pebble = Pebble::start().await;
    let (edge, core) = adopted(&pebble.arguments()).await;
    for domain in ["", "localhost", "192.0.2.1", "*.example.org", "vpn.example.org:443"] {
        let outcome = order(&edge, &core, domain, "").await;
        assert_eq!(outcome.steps, STEPS[..1], "{domain}");
        assert_eq!(outcome.failure.unwrap().1.code(), Code::InvalidArgument, "{domain}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_is_away_or_misbehaves_ends_the_order() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = elsewhere.local_addr().unwrap();
    for (habit, reason) in [
        (Habit::Streams, "longer than 262144 bytes"),
        (Habit::Redirects(to), "redirects, which is not followed"),
        (Habit::NamesOthers(to), "wants another server to be asked"),
    ] {
        let authority = FakeAuthority::start(habit).await;
        expect_trouble(&authority.arguments(), reason).await;
    }
    let away = free_address();
    expect_trouble(&[format!("--acme-directory=https://{away}/dir")], "cannot connect to").await;
    let untrusted = Pebble::start().await;
    expect_trouble(&untrusted.arguments()[..1], "cannot connect to").await;
    let asked = tokio::time::timeout(Duration::from_millis(1), elsewhere.accept()).await;
    assert!(asked.is_err(), "nobody else was dialled");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_order_at_a_time_and_core_may_leave_it() {
    let authority = FakeAuthority::start(Habit::Silent).await;
    let (edge, core) = adopted(&authority.arguments()).await;
    let first = begin(&edge, &core, NAME, "").await.unwrap();
    let second = begin(&edge, &core, NAME, "").await.unwrap_err();
    assert_eq!(second.code(), Code::ResourceExhausted);
    drop(first);
    edge.wait_for_log("core left, so the order is given up").await;
    let third = begin(&edge, &core, NAME, "").await;
    assert!(third.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_wants_to_be_asked_at_the_end_of_time_takes_no_connection_with_it() {
    let authority = FakeAuthority::start(Habit::Postpones).await;
    let (edge, core) = adopted(&authority.arguments()).await;
    let (lines, status) = order(&edge, &core, NAME, "").await.failure.unwrap();
    assert_eq!(status.code(), Code::FailedPrecondition, "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_it_is_forbidden_nobody_is_dialled() {
    let pebble = Pebble::start().await;
    let mut arguments = pebble.arguments();
    arguments.push("--acme-allowed=false".to_owned());
    let (edge, core) = adopted(&arguments).await;
    let refused = begin(&edge, &core, NAME, "").await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(refused.message().contains("`acme_allowed` is false"), "{}", refused.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_does_not_end_the_order() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let pebble = Pebble::start_looking_at(taken.local_addr().unwrap()).await;
    let (edge, core) = adopted(&pebble.arguments()).await;
    let http = edge.http;
    // A proxy in front that passes on what comes to the authority's port.
    let proxy = async {
        loop {
            let (mut from, _) = taken.accept().await.unwrap();
            let mut to = tokio::net::TcpStream::connect(http).await.unwrap();
            drop(tokio::io::copy_bidirectional(&mut from, &mut to).await);
        }
    };
    let outcome = tokio::select! {
        outcome = order(&edge, &core, NAME, "") => outcome,
        () = proxy => unreachable!("it runs for ever"),
    };
    assert!(outcome.certificate.is_some(), "{}", edge.log());
    assert_eq!(edge.log_lines("cannot listen for the certificate authority"), 1);
}

/// What came of an order.
#[derive(Default)]
struct Outcome {
    steps: Vec<&'static str>,
    certificate: Option<AcmeCertificate>,
    failure: Option<(Vec<String>, Status)>,
}

async fn adopted(arguments: &[String]) -> (Program, FakeCore) {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (edge, core) = (Program::start(&arguments), FakeCore::stock());
    core.adopt(edge.tunnel).await.unwrap();
    (edge, core)
}

async fn adopted_at(http: SocketAddr, arguments: &[String]) -> (Program, FakeCore) {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (edge, core) = (Program::start_at(http, &arguments), FakeCore::stock());
    core.adopt(edge.tunnel).await.unwrap();
    (edge, core)
}

async fn begin(edge: &Program, core: &FakeCore, domain: &str, kept: &str) -> Result<Streaming<AcmeIssueEvent>, Status> {
    let challenge = AcmeChallenge { domain: domain.to_owned(), account_credentials_json: kept.to_owned() };
    let mut client = core.client(edge.tunnel).await?;
    Ok(client.trigger_acme(core.introduced(challenge)).await?.into_inner())
}

async fn order(edge: &Program, core: &FakeCore, domain: &str, kept: &str) -> Outcome {
    let mut events = begin(edge, core, domain, kept).await.unwrap();
    let (mut outcome, mut lines) = (Outcome::default(), Vec::new());
    loop {
        match events.message().await {
            Ok(Some(AcmeIssueEvent { payload: Some(Payload::Progress(progress)) })) => {
                outcome.steps.push(progress.step().as_str_name())
            }
            Ok(Some(AcmeIssueEvent { payload: Some(Payload::Logs(logs)) })) => lines = logs.lines,
            Ok(Some(AcmeIssueEvent { payload: Some(Payload::Certificate(issued)) })) => {
                outcome.certificate = Some(issued);
                return outcome;
            }
            Ok(other) => panic!("neither progress nor an end: {other:?}"),
            Err(status) => {
                assert!(!lines.is_empty(), "a failure is explained: {status:?}");
                outcome.failure = Some((lines, status));
                return outcome;
            }
        }
    }
}

async fn expect_trouble(arguments: &[String], reason: &str) {
    let (edge, core) = adopted(arguments).await;
    let (lines, status) = order(&edge, &core, NAME, "").await.failure.unwrap();
    assert_eq!(status.code(), Code::Unavailable, "{lines:?}");
    assert!(lines.iter().any(|line| line.contains(reason)), "{reason}: {lines:?}");
    eventually("it is in the log", || edge.log_lines("there is no web certificate") == 1).await;
}

fn directory(credentials: &str) -> String {
    let credentials: serde_json::Value = serde_json::from_str(credentials).unwrap();
    credentials["directory"].as_str().unwrap().to_owned()
}
