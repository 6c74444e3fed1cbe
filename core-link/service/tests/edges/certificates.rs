//! The certificate that Edges show: stored, sent, ordered, renewed; against Edges that behave as stock ones.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicI64, Ordering},
};

use postern_core::{
    activity::Origin,
    certificate::{BadCertificate, CertificateError, Certificates},
    clock::{Clock, Timestamp},
    edges::Edges,
};
use postern_core_link::{
    OrderError, OrderStep,
    testing::{AcmeScript, Pushed, StockEdge},
};
use postern_proto::rejection::Code;
use rcgen::{CertificateParams, KeyPair};
use time::{Duration, OffsetDateTime};

use crate::core::{Core, is_connected, until};

/// Chain and key of a certificate for one domain that lasts so long.
pub(crate) fn issue(domain: &str, lifetime: Duration) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![domain.to_owned()]).unwrap();
    params.not_before = OffsetDateTime::now_utc() - Duration::HOUR;
    params.not_after = OffsetDateTime::now_utc() + lifetime;
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

async fn connected() -> (tempfile::TempDir, StockEdge, Core) {
    let (folder, edge) = (tempfile::tempdir().unwrap(), StockEdge::start().await);
    let core = Core::start(folder.path()).await;
    core.add(edge.address()).await.unwrap();
    until(async || edge.is_ready()).await;
    until(async || is_connected(&core).await).await;
    (folder, edge, core)
}

fn certificates_of(edge: &StockEdge) -> Vec<(String, String)> {
    let pushed = edge.pushed().into_iter();
    pushed.filter_map(|push| if let Pushed::HttpsCerts(cert, key) = push { Some((cert, key)) } else { None }).collect()
}

async fn order(core: &Core, domain: &str) -> (Result<(), CertificateError>, Vec<OrderStep>) {
    let edge = core.edges.to_order_through(None).await.unwrap().unwrap();
    let steps = Mutex::new(Vec::new());
    let told = |step| steps.lock().unwrap().push(step);
    let ordered = core.certificates.order(&Origin::command_line(), &edge, domain, told).await.map(drop);
    (ordered, steps.into_inner().unwrap())
}

#[tokio::test]
async fn a_certificate_reaches_a_live_edge_at_once_and_a_new_tunnel_after_the_key() {
    let (folder, edge, core) = connected().await;
    let (chain, key) = issue("vpn.example.com", Duration::days(30));

    core.certificates.set(&Origin::command_line(), &chain, &key).await.unwrap();
    until(async || certificates_of(&edge) == [(chain.clone(), key.clone())]).await;
    core.stop().await;
    let core = Core::start(folder.path()).await;
    until(async || certificates_of(&edge).len() == 2).await;

    assert_eq!(edge.pushed()[2], Pushed::InitialInfo);
    let shown = core.certificates.show().await.unwrap().unwrap();
    assert_eq!((shown.days_left, shown.description.names), (29, vec!["vpn.example.com".to_owned()]));
    core.certificates.clear(&Origin::command_line()).await.unwrap();
    until(async || edge.pushed().last() == Some(&Pushed::ClearHttpsCerts)).await;
    assert!(core.certificates.show().await.unwrap().is_none());
    let nothing = core.certificates.clear(&Origin::command_line()).await;
    assert!(matches!(nothing, Err(CertificateError::None)));
}

#[tokio::test]
async fn what_cannot_be_used_changes_nothing() {
    let (_folder, edge, core) = connected().await;
    let (chain, key) = issue("vpn.example.com", Duration::days(30));
    let (other, _) = issue("vpn.example.com", Duration::days(30));
    core.certificates.set(&Origin::command_line(), &chain, &key).await.unwrap();

    let refused = core.certificates.set(&Origin::command_line(), &other, &key).await;

    assert!(matches!(refused, Err(CertificateError::Bad(BadCertificate::OtherKey(_)))), "{refused:?}");
    until(async || certificates_of(&edge).len() == 1).await;
    assert_eq!(core.events().await.last().unwrap(), "certificate_set done");
}

#[tokio::test]
async fn its_key_stands_nowhere_in_clear() {
    let (folder, edge, core) = connected().await;
    let (chain, key) = issue("vpn.example.com", Duration::days(30));
    edge.script_acme(AcmeScript::Issues(chain, key.clone(), "canary account".to_owned()));
    order(&core, "vpn.example.com").await.0.unwrap();
    core.stop().await;

    let secrets = [key.lines().nth(1).unwrap(), "canary account"];
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let path = file.unwrap().path();
        let content = std::fs::read(&path).unwrap();
        for secret in secrets {
            assert!(!content.windows(secret.len()).any(|part| part == secret.as_bytes()), "{}", path.display());
        }
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o077, 0, "{} is open to others", path.display());
    }
}

#[tokio::test]
async fn a_certificate_is_ordered_through_an_edge_stored_and_sent_to_all() {
    let (_folder, edge, core) = connected().await;
    let (chain, key) = issue("vpn.example.com", Duration::days(90));
    edge.script_acme(AcmeScript::Issues(chain.clone(), key.clone(), "account 1".to_owned()));

    let (ordered, steps) = order(&core, "VPN.example.com").await;
    ordered.unwrap();
    assert_eq!(steps.len(), 4);
    until(async || certificates_of(&edge) == [(chain.clone(), key.clone())]).await;
    order(&core, "vpn.example.com").await.0.unwrap();

    let orders = edge.acme_orders();
    assert_eq!(orders.iter().map(|order| order.domain.as_str()).collect::<Vec<_>>(), ["vpn.example.com"; 2]);
    let accounts: Vec<_> = orders.iter().map(|order| order.account_credentials_json.as_str()).collect();
    assert_eq!(accounts, ["", "account 1"], "the account is made once");
}

#[tokio::test]
async fn what_an_edge_issues_is_looked_at_before_anybody_sees_it() {
    let (_folder, edge, core) = connected().await;
    let (chain, key) = issue("vpn.example.com", Duration::days(90));
    let (_, other_key) = issue("vpn.example.com", Duration::days(90));
    let (expired, expired_key) = issue("vpn.example.com", -Duration::MINUTE);
    for (chain, key, domain) in [
        (chain.as_str(), key.as_str(), "bank.example.com"),
        (&chain, &other_key, "vpn.example.com"),
        (&expired, &expired_key, "vpn.example.com"),
        ("rubbish", "rubbish", "vpn.example.com"),
    ] {
        edge.script_acme(AcmeScript::Issues(chain.to_owned(), key.to_owned(), "account".to_owned()));
        let (refused, _) = order(&core, domain).await;
        assert!(matches!(refused, Err(CertificateError::BadOrdered { .. })), "{refused:?}");
    }
    assert!(core.certificates.show().await.unwrap().is_none());
    assert!(certificates_of(&edge).is_empty());
    assert_eq!(core.events().await.last().unwrap(), "certificate_ordered refused");
}

#[tokio::test]
async fn a_failed_order_says_what_the_edge_said() {
    let (_folder, edge, core) = connected().await;
    let lines = vec!["the domain leads elsewhere".to_owned()];
    edge.script_acme(AcmeScript::Fails(lines.clone(), Code::FailedPrecondition, "preflight failed"));
    let (failed, _) = order(&core, "vpn.example.com").await;
    let Err(CertificateError::Order { source, .. }) = failed else { panic!("{failed:?}") };
    let OrderError::Refused { log, message, .. } = *source else { panic!("{source:?}") };
    assert_eq!((log, message.as_str()), (lines, "preflight failed"));
    for domain in ["localhost", "192.0.2.1", ""] {
        assert!(matches!(order(&core, domain).await.0, Err(CertificateError::Domain(_))), "{domain}");
    }
    assert_eq!(edge.acme_orders().len(), 1);
}

/// The same store, looked at by somebody whose clock goes ahead.
async fn at_another_time(core: &Core, ahead: &Arc<AtomicI64>) -> (Certificates, Edges) {
    let ahead = Arc::clone(ahead);
    let now = Clock::system();
    let clock = Clock::new(move || Timestamp::from_unix(now.now().as_unix() + ahead.load(Ordering::SeqCst)));
    core.with_clock(clock).await
}

#[tokio::test]
async fn what_was_ordered_is_renewed_two_weeks_before_its_end_and_tried_once_a_day() {
    let (_folder, edge, core) = connected().await;
    let (chain, key) = issue("vpn.example.com", Duration::days(90));
    edge.script_acme(AcmeScript::Issues(chain, key, "account".to_owned()));
    order(&core, "vpn.example.com").await.0.unwrap();
    let ahead = Arc::new(AtomicI64::new(0));
    let (certificates, edges) = at_another_time(&core, &ahead).await;
    let to = |days: i64| ahead.store(days * 24 * 60 * 60, Ordering::SeqCst);

    to(75);
    certificates.renew_if_due(&edges).await.unwrap();
    assert_eq!(edge.acme_orders().len(), 1, "15 days are left");

    to(77);
    edge.script_acme(AcmeScript::Fails(Vec::new(), Code::Unavailable, "the authority is away"));
    assert!(certificates.renew_if_due(&edges).await.is_err());
    certificates.renew_if_due(&edges).await.unwrap();
    assert_eq!(edge.acme_orders().len(), 2, "one try a day");
    let renewal = certificates.show().await.unwrap().unwrap().renewal.unwrap();
    assert!(renewal.error.unwrap().contains("the authority is away"));

    to(76);
    assert!(certificates.renew_if_due(&edges).await.is_err(), "the clock was ahead");
    assert_eq!(edge.acme_orders().len(), 3);

    to(78);
    let (renewed, key) = issue("vpn.example.com", Duration::days(180));
    edge.script_acme(AcmeScript::Issues(renewed.clone(), key.clone(), "account".to_owned()));
    certificates.renew_if_due(&edges).await.unwrap();
    until(async || certificates_of(&edge).last() == Some(&(renewed.clone(), key.clone()))).await;
    assert!(certificates.show().await.unwrap().unwrap().renewal.is_none());
}

#[tokio::test]
async fn a_renewal_that_one_edge_cannot_get_is_tried_through_another_the_next_day() {
    let (_folder, edge, core) = connected().await;
    let (chain, key) = issue("vpn.example.com", Duration::days(90));
    edge.script_acme(AcmeScript::Issues(chain, key, "account".to_owned()));
    order(&core, "vpn.example.com").await.0.unwrap();
    let other = StockEdge::start().await;
    core.add(other.address()).await.unwrap();
    until(async || other.is_ready()).await;
    until(async || core.edges.to_renew_through(0).await.unwrap() != core.edges.to_renew_through(1).await.unwrap())
        .await;
    let ahead = Arc::new(AtomicI64::new(0));
    let (certificates, edges) = at_another_time(&core, &ahead).await;
    for edge in [&edge, &other] {
        edge.script_acme(AcmeScript::Fails(Vec::new(), Code::PermissionDenied, "orders are forbidden here"));
    }

    for days in [77, 78] {
        ahead.store(days * 24 * 60 * 60, Ordering::SeqCst);
        assert!(certificates.renew_if_due(&edges).await.is_err());
    }

    assert_eq!((edge.acme_orders().len(), other.acme_orders().len()), (2, 1), "the first ordered before");
}

#[tokio::test]
async fn what_an_administrator_brought_is_never_renewed() {
    let (_folder, edge, core) = connected().await;
    let (chain, key) = issue("vpn.example.com", Duration::days(1));
    core.certificates.set(&Origin::command_line(), &chain, &key).await.unwrap();
    core.certificates.renew_if_due(&core.edges).await.unwrap();
    assert!(edge.acme_orders().is_empty());
}
