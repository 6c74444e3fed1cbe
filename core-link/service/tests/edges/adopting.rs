//! Adoption: once, or not at all, and healed by repeating it.

use postern_core::{
    activity::Origin,
    edges::{EdgeError, Stage},
};
use postern_core_link::{
    AdoptFailure, Adoption,
    testing::{FakeEdge, Manner},
};
use postern_proto::rejection::Code;

use crate::{
    core::{Core, is_connected, stages, until, within},
    proxy::{Hold, Proxy, Step},
};

#[tokio::test]
async fn an_adopted_edge_is_connected_and_has_a_long_lasting_certificate() {
    let (folder, edge) = (tempfile::tempdir().unwrap(), FakeEdge::unadopted(Manner::Ours).await);
    let core = Core::start(folder.path()).await;

    core.add(edge.address()).await.unwrap();

    until(async || is_connected(&core).await).await;
    let listed = core.list().await.remove(0);
    assert_eq!(listed.record.name, edge.address().to_string());
    assert_eq!(listed.record.stage, Stage::Adopted);
    assert_eq!(listed.certificate_days_left, 1824);
    assert_eq!(core.events().await, ["edge_adoption_begun done", "edge_adopted done"]);
}

#[tokio::test]
async fn an_edge_is_adopted_once_and_a_name_is_given_once() {
    let (folder, edge) = (tempfile::tempdir().unwrap(), FakeEdge::unadopted(Manner::Ours).await);
    let other = FakeEdge::unadopted(Manner::Ours).await;
    let core = Core::start(folder.path()).await;
    let origin = Origin::command_line();
    core.edges.add(&origin, edge.address(), Some("north".to_owned())).await.unwrap();

    let again = core.edges.add(&origin, edge.address(), None).await;
    assert!(matches!(again, Err(EdgeError::AddressTaken { name, .. }) if name == "north"));
    let twin = core.edges.add(&origin, other.address(), Some("north".to_owned())).await;
    assert!(matches!(twin, Err(EdgeError::NameTaken(_))));
    for name in ["", "7", " x", "a\nb", &"x".repeat(65)] {
        let named = core.edges.add(&origin, other.address(), Some(name.to_owned())).await;
        assert!(matches!(named, Err(EdgeError::BadName(_))), "{name:?}");
    }
    assert_eq!(core.list().await.len(), 1);
    assert!(!other.is_adopted());
}

#[tokio::test]
async fn an_edge_that_refuses_leaves_no_row() {
    let folder = tempfile::tempdir().unwrap();
    let edge = FakeEdge::unadopted(Manner::Refuses(Code::FailedPrecondition, "window closed")).await;
    let core = Core::start(folder.path()).await;

    let refused = core.add(edge.address()).await;

    assert!(matches!(failure(refused), AdoptFailure::Refused { code: Code::FailedPrecondition, .. }));
    assert!(core.list().await.is_empty());
}

#[tokio::test]
async fn an_edge_of_another_core_is_not_taken() {
    let (folder, edge) = (tempfile::tempdir().unwrap(), FakeEdge::start(Manner::Ours).await);
    let core = Core::start(folder.path()).await;
    let failure = failure(core.add(edge.address()).await);
    assert!(matches!(failure, AdoptFailure::AlreadyAdopted), "{failure:?}");
    assert!(core.list().await.is_empty());
}

#[tokio::test]
async fn a_crash_before_the_request_to_sign_leaves_nothing() {
    let (folder, edge) = (tempfile::tempdir().unwrap(), FakeEdge::unadopted(Manner::Ours).await);
    let proxy = Proxy::to(edge.address(), Hold::Reply(Step::GetCsr)).await;
    let core = Core::start(folder.path()).await;
    crash_when_held(&core, &proxy).await;
    assert!(core.list().await.is_empty());
    core.stop().await;

    let core = Core::start(folder.path()).await;
    proxy.release();
    core.add(proxy.address()).await.unwrap();
    assert!(edge.is_adopted());
}

#[tokio::test]
async fn after_a_crash_before_the_identity_arrived_the_edge_is_adopted_anew() {
    let (folder, edge) = (tempfile::tempdir().unwrap(), FakeEdge::unadopted(Manner::Ours).await);
    let proxy = Proxy::to(edge.address(), Hold::Request(Step::SendCert)).await;
    let core = Core::start(folder.path()).await;
    crash_when_held(&core, &proxy).await;
    assert_eq!(core.list().await[0].record.stage, Stage::Adopting);
    core.stop().await;

    let core = Core::start(folder.path()).await;
    proxy.cut();
    core.add(proxy.address()).await.unwrap();

    until(async || is_connected(&core).await).await;
    assert_eq!(stages(&core).await, [Stage::Adopted]);
}

#[tokio::test]
async fn after_a_crash_behind_the_sent_identity_core_finds_the_edge_adopted() {
    let (folder, edge) = (tempfile::tempdir().unwrap(), FakeEdge::unadopted(Manner::Ours).await);
    let proxy = Proxy::to(edge.address(), Hold::Reply(Step::SendCert)).await;
    let core = Core::start(folder.path()).await;
    crash_when_held(&core, &proxy).await;
    assert!(edge.is_adopted());
    core.stop().await;

    let core = Core::start(folder.path()).await;
    assert_eq!(stages(&core).await, [Stage::Adopting]);
    until(async || is_connected(&core).await).await;
    core.edges.confirm_connected().await.unwrap();
    assert_eq!(stages(&core).await, [Stage::Adopted]);
    assert_eq!(core.events().await, ["edge_adoption_begun done", "edge_adopted done"]);
}

#[tokio::test]
async fn a_repeated_add_completes_what_a_crash_interrupted() {
    let (folder, edge) = (tempfile::tempdir().unwrap(), FakeEdge::unadopted(Manner::Ours).await);
    let proxy = Proxy::to(edge.address(), Hold::Reply(Step::SendCert)).await;
    let core = Core::start(folder.path()).await;
    crash_when_held(&core, &proxy).await;
    core.stop().await;

    let core = Core::start(folder.path()).await;
    let id = core.list().await[0].record.id;
    assert_eq!(core.add(proxy.address()).await.unwrap(), id);
    assert_eq!(stages(&core).await, [Stage::Adopted]);
}

#[tokio::test]
async fn a_lost_answer_heals_by_dialling() {
    let (folder, edge) = (tempfile::tempdir().unwrap(), FakeEdge::unadopted(Manner::Ours).await);
    let proxy = Proxy::to(edge.address(), Hold::Reply(Step::SendCert)).await;
    let core = Core::start(folder.path()).await;

    let adding = core.begin_to_add(proxy.address());
    proxy.reached().await;
    proxy.cut();

    within(adding).await.unwrap().unwrap();
    assert_eq!(stages(&core).await, [Stage::Adopted]);
}

#[tokio::test]
async fn an_edge_that_refuses_its_identity_leaves_no_row() {
    let (folder, edge) = (tempfile::tempdir().unwrap(), FakeEdge::unadopted(Manner::Ours).await);
    let proxy = Proxy::to(edge.address(), Hold::Request(Step::SendCert)).await;
    let core = Core::start(folder.path()).await;

    let adding = core.begin_to_add(proxy.address());
    proxy.reached().await;
    // Another Start takes the Edge's session over, so that it refuses what comes from the first.
    let _other = Adoption::start(edge.address()).await.unwrap();
    proxy.release();

    let refused = within(adding).await.unwrap();
    assert!(matches!(failure(refused), AdoptFailure::Refused { code: Code::Unauthenticated, .. }));
    assert!(core.list().await.is_empty());
    assert_eq!(core.events().await, ["edge_adoption_begun done", "edge_adopted refused"]);
}

#[tokio::test]
async fn a_refused_second_attempt_leaves_neither_row_nor_link() {
    let (folder, edge) = (tempfile::tempdir().unwrap(), FakeEdge::unadopted(Manner::Ours).await);
    let proxy = Proxy::to(edge.address(), Hold::Request(Step::SendCert)).await;
    let core = Core::start(folder.path()).await;
    crash_when_held(&core, &proxy).await;

    let adding = core.begin_to_add(proxy.address());
    within(proxy.reached()).await;
    assert_eq!(core.links(), 1, "what was begun is dialled");
    let _other = Adoption::start(edge.address()).await.unwrap();
    proxy.release();

    assert!(within(adding).await.unwrap().is_err());
    assert!(core.list().await.is_empty());
    assert_eq!(core.links(), 0);
}

async fn crash_when_held(core: &Core, proxy: &Proxy) {
    let adding = core.begin_to_add(proxy.address());
    within(proxy.reached()).await;
    adding.abort();
    assert!(adding.await.unwrap_err().is_cancelled());
}

fn failure(result: Result<i64, EdgeError>) -> AdoptFailure {
    match result {
        Err(EdgeError::Adopt(error)) => error.failure,
        other => panic!("{other:?}"),
    }
}
