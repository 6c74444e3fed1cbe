//! What Core sends unasked, right and wrong.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;

use postern_edge::{
    testing::{FakeCore, FakeTunnel, TestEdge, adopted_edge, empty, eventually, ring},
    tunnel::push::{KeyId, KeyRing},
};
use postern_proto::{
    link::{Probe, SessionKeyRing},
    proxy::{HttpsCerts, InitialInfo, core_response::Payload},
};
use tempfile::TempDir;

const A: [u8; 64] = [1; 64];
const B: [u8; 64] = [2; 64];
const C: [u8; 64] = [3; 64];

#[tokio::test]
async fn the_key_of_initial_info_seals_when_there_is_nothing_else() {
    let edge = Edge::new(FakeCore::stock()).await;
    let tunnel = edge.open().await;
    assert!(edge.edge.keys.current().is_none());
    tunnel.push(initial_info(&A)).await;
    edge.expect_ring(&A, &[&A]).await;
}

#[tokio::test]
async fn a_tunnel_without_a_key_is_not_ready() {
    let edge = Edge::new(FakeCore::stock()).await;
    let tunnel = edge.open().await;
    assert!(edge.edge.registry.is_connected() && !edge.edge.registry.is_ready());
    tunnel.push(initial_info(&A)).await;
    eventually("the edge is ready", || edge.edge.registry.is_ready()).await;
}

#[tokio::test]
async fn a_short_key_is_refused_and_the_tunnel_stays_up() {
    let edge = Edge::new(FakeCore::new()).await;
    let tunnel = edge.open().await;
    for length in [0, 32, 63, 65] {
        tunnel.push(Payload::InitialInfo(InitialInfo { private_cookies_key: vec![1; length] })).await;
    }
    read_so_far(&tunnel).await;
    assert!(edge.edge.keys.current().is_none());
    tunnel.push(initial_info(&A)).await;
    edge.expect_ring(&A, &[&A]).await;
}

#[tokio::test]
async fn a_short_key_leaves_the_ring_as_it_was() {
    let edge = Edge::new(FakeCore::new()).await;
    let tunnel = edge.open().await;
    tunnel.push(initial_info(&A)).await;
    tunnel.push(Payload::InitialInfo(InitialInfo { private_cookies_key: vec![1; 10] })).await;
    read_so_far(&tunnel).await;
    edge.expect_ring(&A, &[&A]).await;
}

#[tokio::test]
async fn a_ring_says_which_key_seals_and_all_of_it_opens() {
    let edge = Edge::new(FakeCore::new()).await;
    let tunnel = edge.open().await;
    tunnel.push(initial_info(&A)).await;
    tunnel.push(Payload::SessionKeyRing(ring(2, &[&B, &A]))).await;
    edge.expect_ring(&B, &[&A, &B]).await;
}

#[tokio::test]
async fn a_later_ring_of_the_same_core_replaces_the_earlier_one() {
    let edge = Edge::new(FakeCore::new()).await;
    let tunnel = edge.open().await;
    tunnel.push(Payload::SessionKeyRing(ring(1, &[&A, &B]))).await;
    tunnel.push(Payload::SessionKeyRing(ring(2, &[&B, &C]))).await;
    edge.expect_ring(&B, &[&B, &C]).await;
}

#[tokio::test]
async fn keys_beside_a_ring_are_bounded() {
    let edge = Edge::new(FakeCore::new()).await;
    let tunnel = edge.open().await;
    tunnel.push(Payload::SessionKeyRing(ring(1, &[&A]))).await;
    for number in 10..60 {
        tunnel.push(initial_info(&[number; 64])).await;
    }
    read_so_far(&tunnel).await;
    let held = edge.edge.keys.current().unwrap();
    assert_eq!((held.len(), held.primary().0), (16, KeyId::of(&A)));
}

#[tokio::test]
async fn the_same_key_again_changes_nothing() {
    let edge = Edge::new(FakeCore::new()).await;
    let tunnel = edge.open().await;
    tunnel.push(Payload::SessionKeyRing(ring(3, &[&B, &A]))).await;
    edge.expect_ring(&B, &[&A, &B]).await;
    let before = edge.edge.keys.current().unwrap();
    tunnel.push(initial_info(&B)).await;
    tunnel.push(initial_info(&A)).await;
    tunnel.push(Payload::SessionKeyRing(ring(3, &[&B, &A]))).await;
    read_so_far(&tunnel).await;
    assert!(Arc::ptr_eq(&before, &edge.edge.keys.current().unwrap()));
}

#[tokio::test]
async fn an_edge_holds_the_union_over_its_cores_and_the_highest_epoch_seals() {
    let core = FakeCore::new();
    let sibling = core.sibling();
    let edge = Edge::new(core).await;
    let first = edge.open().await;
    let second = edge.open_as(&sibling).await;
    first.push(Payload::SessionKeyRing(ring(5, &[&A]))).await;
    read_so_far(&first).await;
    second.push(initial_info(&B)).await;
    edge.expect_ring(&A, &[&A, &B]).await;
    second.push(Payload::SessionKeyRing(ring(6, &[&C, &A]))).await;
    edge.expect_ring(&C, &[&A, &C]).await;
}

#[tokio::test]
async fn keys_stay_when_core_is_lost_and_go_when_another_core_speaks() {
    let core = FakeCore::new();
    let sibling = core.sibling();
    let edge = Edge::new(core).await;
    let first = edge.open().await;
    first.push(Payload::SessionKeyRing(ring(1, &[&A]))).await;
    edge.expect_ring(&A, &[&A]).await;
    first.hang_up().await;
    eventually("the tunnel is gone", || !edge.edge.registry.is_connected()).await;
    edge.expect_ring(&A, &[&A]).await;
    let second = edge.open_as(&sibling).await;
    second.push(Payload::SessionKeyRing(ring(1, &[&B]))).await;
    edge.expect_ring(&B, &[&B]).await;
}

#[tokio::test]
async fn a_wrong_ring_is_refused_as_a_whole() {
    let edge = Edge::new(FakeCore::new()).await;
    let tunnel = edge.open().await;
    tunnel.push(Payload::SessionKeyRing(ring(1, &[&A]))).await;
    let good = ring(9, &[&B]);
    let unknown_primary = SessionKeyRing { primary_id: vec![0; 8], ..good.clone() };
    let short_primary = SessionKeyRing { primary_id: vec![], ..good.clone() };
    let mut short_key = good.clone();
    short_key.keys[0].key.pop();
    let mut wrong_id = good.clone();
    wrong_id.keys[0].id[0] ^= 1;
    let empty_ring = SessionKeyRing { keys: Vec::new(), ..good.clone() };
    let huge = SessionKeyRing { keys: good.keys.iter().cycle().take(17).cloned().collect(), ..good };
    for wrong in [unknown_primary, short_primary, short_key, wrong_id, empty_ring, huge] {
        tunnel.push(Payload::SessionKeyRing(wrong)).await;
    }
    read_so_far(&tunnel).await;
    edge.expect_ring(&A, &[&A]).await;
}

#[tokio::test]
async fn what_is_unknown_or_not_for_us_is_ignored() {
    let edge = Edge::new(FakeCore::new()).await;
    let tunnel = edge.open().await;
    tunnel.push(Payload::HttpsCerts(HttpsCerts::default())).await;
    tunnel.push(Payload::Empty(())).await;
    // Field 1999, a message; then no field at all; then an id 0 that does not decode.
    tunnel.send(vec![0xfa, 0x7c, 0x01, 0x00].into()).await;
    tunnel.send(Vec::new().into()).await;
    tunnel.send(vec![0x12, 0x7f].into()).await;
    tunnel.push(initial_info(&A)).await;
    edge.expect_ring(&A, &[&A]).await;
    assert!(!tunnel.has_ended());
}

#[tokio::test]
async fn a_probe_is_answered_at_once() {
    let edge = Edge::new(FakeCore::new()).await;
    let tunnel = edge.open().await;
    read_so_far(&tunnel).await;
}

struct Edge {
    edge: TestEdge,
    core: FakeCore,
    _folder: TempDir,
}

impl Edge {
    async fn new(core: FakeCore) -> Self {
        let folder = TempDir::new().unwrap();
        let edge = adopted_edge(folder.path(), &core).await;
        Self { edge, core, _folder: folder }
    }

    async fn open(&self) -> FakeTunnel {
        self.open_as(&self.core).await
    }

    async fn open_as(&self, core: &FakeCore) -> FakeTunnel {
        let before = self.edge.registry.tunnel_count();
        let tunnel = core.try_connect(self.edge.address, Arc::new(|_| empty())).await.unwrap();
        eventually("the tunnel is up", || self.edge.registry.tunnel_count() == before + 1).await;
        tunnel
    }

    async fn expect_ring(&self, primary: &[u8; 64], keys: &[&[u8; 64]]) {
        let holds = |ring: &KeyRing| {
            ring.primary().0 == KeyId::of(primary)
                && ring.len() == keys.len()
                && keys.iter().all(|key| ring.get(KeyId::of(key)).is_some_and(|held| held.as_bytes() == *key))
        };
        eventually("the ring is as expected", || self.edge.keys.current().is_some_and(|ring| holds(&ring))).await;
    }
}

fn initial_info(key: &[u8; 64]) -> Payload {
    Payload::InitialInfo(InitialInfo { private_cookies_key: key.to_vec() })
}

/// The Edge takes the messages of a tunnel in order, so an answered probe says that it has read
/// everything before it.
async fn read_so_far(tunnel: &FakeTunnel) {
    let before = tunnel.probe_reply_count();
    tunnel.push(Payload::Probe(Probe { sequence: 1 })).await;
    eventually("the probe is answered", || tunnel.probe_reply_count() > before).await;
}
