//! Disabling, enabling and removing.

use postern_core::{activity::Origin, edges::EdgeError};
use postern_core_link::testing::{FakeEdge, Manner};

use crate::core::{Core, is_connected, until};

#[tokio::test]
async fn a_removed_edge_gives_up_its_identity_and_can_be_adopted_again() {
    let (folder, edge) = (tempfile::tempdir().unwrap(), FakeEdge::unadopted(Manner::Ours).await);
    let core = Core::start(folder.path()).await;
    let id = core.add(edge.address()).await.unwrap();
    until(async || is_connected(&core).await).await;

    let removed = core.edges.remove(&Origin::command_line(), &id.to_string()).await.unwrap();

    assert!(removed.left_behind.is_none());
    assert!(!edge.is_adopted());
    assert!(edge.purges()[0].tunnel_open && edge.purges()[0].draining);
    assert!(core.list().await.is_empty());
    core.add(edge.address()).await.unwrap();
    assert!(edge.is_adopted());
}

#[tokio::test]
async fn an_edge_that_cannot_be_reached_is_removed_and_said_to_hold_its_identity() {
    let (folder, mut edge) = (tempfile::tempdir().unwrap(), FakeEdge::unadopted(Manner::Ours).await);
    let core = Core::start(folder.path()).await;
    core.add(edge.address()).await.unwrap();
    edge.crash().await;
    until(async || !is_connected(&core).await).await;

    let removed = core.edges.remove(&Origin::command_line(), &edge.address().to_string()).await.unwrap();

    assert!(removed.left_behind.is_some());
    assert!(core.list().await.is_empty());
}

#[tokio::test]
async fn a_disabled_edge_has_no_tunnel_until_it_is_enabled_and_keeps_its_identity() {
    let (folder, edge) = (tempfile::tempdir().unwrap(), FakeEdge::unadopted(Manner::Ours).await);
    let core = Core::start(folder.path()).await;
    let origin = Origin::command_line();
    let id = core.add(edge.address()).await.unwrap().to_string();
    until(async || is_connected(&core).await).await;

    core.edges.set_enabled(&origin, &id, false).await.unwrap();
    assert!(core.list().await[0].status.is_none());
    assert!(edge.is_adopted());

    core.edges.set_enabled(&origin, &id, true).await.unwrap();
    until(async || is_connected(&core).await).await;

    core.edges.set_enabled(&origin, &id, false).await.unwrap();
    let removed = core.edges.remove(&origin, &id).await.unwrap();
    assert!(removed.left_behind.is_none(), "a disabled Edge is told as well");
    assert!(!edge.is_adopted());
}

#[tokio::test]
async fn an_unknown_edge_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let core = Core::start(folder.path()).await;
    let origin = Origin::command_line();
    let error = core.edges.set_enabled(&origin, "south", true).await.unwrap_err();
    assert!(matches!(error, EdgeError::NoSuchEdge(name) if name == "south"));
    assert!(matches!(core.edges.remove(&origin, "7").await, Err(EdgeError::NoSuchEdge(_))));
}

#[tokio::test]
async fn no_private_key_stands_in_the_database_in_clear() {
    let (folder, edge) = (tempfile::tempdir().unwrap(), FakeEdge::unadopted(Manner::Ours).await);
    let core = Core::start(folder.path()).await;
    core.add(edge.address()).await.unwrap();
    let record = core.list().await.remove(0).record;
    core.stop().await;

    // The private scalar stands in the middle of the PKCS #8 text, behind its fixed head.
    let scalar = &record.client.key[36..68];
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let content = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!content.windows(scalar.len()).any(|part| part == scalar));
    }
}
