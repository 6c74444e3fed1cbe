//! Two Cores on one store: what is changed at one, the other follows.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use postern_core::{
    activity::Origin,
    certificate::CertificateError,
    changes::Topic,
    clock::{Clock, Timestamp},
    edges::Stage,
    lease::{self, Job, LEASE_TIME},
    session_keys::SessionKey,
    store::StoreError,
};
use postern_core_link::testing::{AcmeScript, FakeEdge, FakeTunnel, Manner, StockEdge};
use postern_proto::proxy::core_response::Payload;
use time::Duration;
use tokio::runtime::Handle;

use crate::{
    certificates::issue,
    core::{Core, is_connected, stages, until, within},
    proxy::{Hold, Proxy, Step},
};

/// An Edge to which both Cores have a tunnel, the first Core's first.
struct Both {
    here: Core,
    there: Core,
    edge: FakeEdge,
    tunnels: [FakeTunnel; 2],
    folder: tempfile::TempDir,
}

impl Both {
    async fn start() -> Self {
        let (folder, mut edge) = (tempfile::tempdir().unwrap(), FakeEdge::unadopted(Manner::Ours).await);
        let (here, there) = (Core::start(folder.path()).await, Core::start(folder.path()).await);
        here.add(edge.address()).await.unwrap();
        let tunnels = within(async { [edge.tunnel().await, edge.tunnel().await] }).await;
        Self { here, there, edge, tunnels, folder }
    }
}

#[tokio::test]
async fn an_edge_that_is_added_at_one_core_is_dialled_by_the_other() {
    let Both { here, there, edge: _edge, tunnels, folder: _folder } = Both::start().await;
    until(async || is_connected(&here).await && is_connected(&there).await).await;
    let [one, other] = tunnels.map(|tunnel| tunnel.headers()["postern-core"].clone());
    assert_ne!(one, other, "an Edge tells them apart");
    assert_eq!(here.events().await.iter().filter(|event| *event == "edge_adopted done").count(), 1);
}

#[tokio::test]
async fn an_edge_that_is_disabled_at_one_core_is_left_by_the_other_and_comes_back_with_it() {
    let Both { here, there, edge: mut _edge, tunnels: _tunnels, folder: _folder } = Both::start().await;
    let id = here.list().await[0].record.id.to_string();

    there.edges.set_enabled(&Origin::command_line(), &id, false).await.unwrap();
    until(async || here.links() == 0).await;

    there.edges.set_enabled(&Origin::command_line(), &id, true).await.unwrap();
    until(async || is_connected(&here).await).await;
}

#[tokio::test]
async fn an_edge_that_is_removed_at_one_core_is_forgotten_by_the_other() {
    let Both { here, there, edge, tunnels: _tunnels, folder: _folder } = Both::start().await;
    let id = here.list().await[0].record.id.to_string();
    until(async || is_connected(&there).await).await;

    there.edges.remove(&Origin::command_line(), &id).await.unwrap();

    until(async || here.links() == 0).await;
    assert!(!edge.is_adopted());
}

#[tokio::test]
async fn a_certificate_that_is_stored_at_one_core_is_sent_by_both_and_so_is_its_end() {
    let Both { here, there: _there, edge: _edge, mut tunnels, folder: _folder } = Both::start().await;
    let (chain, key) = issue("vpn.example.com", Duration::days(30));

    here.certificates.set(&Origin::command_line(), &chain, &key).await.unwrap();
    for tunnel in &mut tunnels {
        pushed(tunnel, |payload| matches!(payload, Payload::HttpsCerts(certs) if certs.cert_pem == chain)).await;
    }

    here.certificates.clear(&Origin::command_line()).await.unwrap();
    for tunnel in &mut tunnels {
        pushed(tunnel, |payload| matches!(payload, Payload::ClearHttpsCerts(_))).await;
    }
}

#[tokio::test]
async fn a_session_key_that_is_made_by_one_core_is_sent_by_both() {
    let Both { here, there: _there, edge: _edge, mut tunnels, folder: _folder } = Both::start().await;

    let made = here.store().write::<_, StoreError, _>(|tx| {
        Box::pin(async move {
            let key = SessionKey { id: [7; 8], key: zeroize::Zeroizing::new([7; 64]) };
            tx.insert_primary_session_key(&key, 2).await?;
            tx.announce(Topic::SessionKeys).await
        })
    });
    made.await.unwrap();

    for tunnel in &mut tunnels {
        let is_new = |payload: &Payload| matches!(payload, Payload::SessionKeyRing(ring) if ring.keys.len() == 2);
        pushed(tunnel, is_new).await;
    }
}

#[tokio::test]
async fn a_core_that_missed_every_change_follows_them_when_it_looks_again() {
    let (folder, edge) = (tempfile::tempdir().unwrap(), FakeEdge::unadopted(Manner::Ours).await);
    let here = Core::start(folder.path()).await;
    here.add(edge.address()).await.unwrap();
    let there = Core::start(folder.path()).await;
    let id = here.list().await[0].record.id;
    until(async || is_connected(&there).await).await;

    // As by somebody who announces nothing; then any announcement.
    let silently = here.store().write::<_, StoreError, _>(move |tx| Box::pin(tx.set_edge_enabled(id, false)));
    silently.await.unwrap();
    let announced = here.store().write::<_, StoreError, _>(|tx| Box::pin(tx.announce(Topic::Edges)));
    announced.await.unwrap();

    until(async || here.links() == 0 && there.links() == 0).await;
}

#[tokio::test]
async fn an_edge_whose_core_died_while_it_adopted_it_is_taken_over_by_another() {
    let (folder, edge) = (tempfile::tempdir().unwrap(), FakeEdge::unadopted(Manner::Ours).await);
    let proxy = Proxy::to(edge.address(), Hold::Reply(Step::SendCert)).await;
    let (here, there) = (Core::start(folder.path()).await, Core::start(folder.path()).await);
    let adding = here.begin_to_add(proxy.address());
    within(proxy.reached()).await;
    adding.abort();
    here.stop().await;
    proxy.release();

    there.edges.confirm_connected().await.unwrap();
    assert_eq!(there.links(), 0, "the other may still be at it");
    let clock = Clock::new(|| Timestamp::from_unix(Clock::system().now().as_unix() + 60));
    let (_, later) = there.with_clock(clock).await;
    until(async || {
        later.confirm_connected().await.unwrap();
        stages(&there).await == [Stage::Adopted]
    })
    .await;
}

#[tokio::test]
async fn only_one_core_orders_a_certificate_at_a_time() {
    let (folder, edge) = (tempfile::tempdir().unwrap(), StockEdge::start().await);
    let (here, there) = (Core::start(folder.path()).await, Core::start(folder.path()).await);
    here.add(edge.address()).await.unwrap();
    until(async || is_connected(&here).await).await;
    let lease = lease::take(there.store(), Job::CertificateOrder).await.unwrap().unwrap();
    let through = here.edges.to_order_through(None).await.unwrap().unwrap();

    let origin = Origin::command_line();
    let order = || here.certificates.order(&origin, &through, "vpn.example.com", |_| {});
    assert!(matches!(order().await, Err(CertificateError::OrderRunning)));
    assert!(edge.acme_orders().is_empty());

    lease::keep(there.store(), lease, async {}).await.unwrap();
    let (chain, key) = issue("vpn.example.com", Duration::days(90));
    edge.script_acme(AcmeScript::Issues(chain, key, "account".to_owned()));
    order().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_core_that_was_frozen_while_it_ordered_stores_nothing() {
    let (folder, edge) = (tempfile::tempdir().unwrap(), StockEdge::start().await);
    let (here, there) = (Core::start(folder.path()).await, Core::start(folder.path()).await);
    here.add(edge.address()).await.unwrap();
    until(async || is_connected(&here).await).await;
    let (chain, key) = issue("vpn.example.com", Duration::days(90));
    edge.script_acme(AcmeScript::Issues(chain, key, "account".to_owned()));
    let through = here.edges.to_order_through(None).await.unwrap().unwrap();
    let ahead = Arc::new(AtomicI64::new(0));
    let (now, moved) = (Clock::system(), Arc::clone(&ahead));
    let clock = Clock::new(move || Timestamp::from_unix(now.now().as_unix() + moved.load(Ordering::SeqCst)));
    let later = there.store_with_clock(clock).await;

    let mut taken = None;
    let take_over = |_| {
        ahead.store(LEASE_TIME.as_secs().cast_signed() + 1, Ordering::SeqCst);
        taken = taken.or_else(|| {
            tokio::task::block_in_place(|| Handle::current().block_on(lease::take(&later, Job::CertificateOrder)))
                .unwrap()
        });
    };
    let ordered = here.certificates.order(&Origin::command_line(), &through, "vpn.example.com", take_over).await;

    assert!(matches!(ordered, Err(CertificateError::Lease(_))), "{ordered:?}");
    assert!(taken.is_some());
    assert!(there.certificates.show().await.unwrap().is_none());
}

/// Waits for a push; what comes before it is skipped.
async fn pushed(tunnel: &mut FakeTunnel, is_it: impl Fn(&Payload) -> bool) {
    within(async {
        loop {
            let message = tunnel.next().await.expect("the tunnel is open");
            if message.payload.as_ref().is_some_and(&is_it) {
                return;
            }
        }
    })
    .await;
}
