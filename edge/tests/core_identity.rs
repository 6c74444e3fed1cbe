//! Who may be Core: whoever holds the one certificate of the adoption, and nobody else.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;

use postern_edge::testing::{FakeCore, adopted_edge, empty, eventually};
use postern_proto::proxy::AcmeChallenge;
use tempfile::TempDir;

#[tokio::test]
async fn no_certificate_but_that_of_the_adoption_opens_anything() {
    let (folder, core) = (TempDir::new().unwrap(), FakeCore::new());
    let edge = adopted_edge(folder.path(), &core).await;
    for (who, other) in [
        ("without a certificate", core.anonymous()),
        ("of another authority", core.stranger()),
        ("for an Edge", core.posing_as_core()),
        ("expired", core.expired()),
        ("for another Edge", core.impostor()),
    ] {
        assert!(other.try_connect(edge.address, Arc::new(|_| empty())).await.is_err(), "{who}: a tunnel");
        assert!(other.purge(edge.address).await.is_err(), "{who}: a purge");
        let order = other.introduced(AcmeChallenge::default());
        let ordered = match other.client(edge.address).await {
            Ok(mut client) => client.trigger_acme(order).await.map(drop),
            Err(error) => Err(error),
        };
        assert!(ordered.is_err(), "{who}: an order");
        assert!(!edge.registry.is_connected(), "{who}");
    }
    assert!(edge.identity.current().is_some(), "nobody took its identity");
    let _tunnel = core.connect(edge.address, |_| empty()).await;
    eventually("its own Core is served", || edge.registry.is_ready()).await;
}
