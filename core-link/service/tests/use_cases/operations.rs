//! At most once.

use postern_core::device;
use postern_core_link::{EdgeId, Handler as _};

use crate::support::{Core, PASSWORD, activate, assert_refused, configured, key, new_device, request, start};

const WINDOW: i64 = 600;

async fn devices(core: &Core) -> usize {
    core.store.read(|tx| Box::pin(device::list(tx, None))).await.unwrap().len()
}

#[tokio::test]
async fn a_repeated_operation_has_one_effect_and_one_reply() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    let first = configured(core.ask_as("one", new_device(&token, "laptop", &key(1))).await);
    let again = configured(core.ask_as("one", new_device(&token, "laptop", &key(1))).await);
    assert_eq!(first, again, "down to the polling token");
    assert_eq!(devices(&core).await, 1);
}

#[tokio::test]
async fn a_repeat_through_another_edge_gets_the_same_reply() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    let first = configured(core.ask_as("one", new_device(&token, "laptop", &key(1))).await);
    let mut repeat = request(new_device(&token, "laptop", &key(1)), Some("one"));
    repeat.edge = EdgeId(2);
    assert_eq!(configured(core.dispatcher.handle(repeat).await), first);
}

#[tokio::test]
async fn repeats_at_the_same_moment_have_one_effect_and_one_reply() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    let asked = (0..20).map(|_| core.ask_as("one", new_device(&token, "laptop", &key(1))));
    let replies: Vec<_> = futures::future::join_all(asked).await.into_iter().map(configured).collect();
    assert!(replies.iter().all(|reply| *reply == replies[0]));
    assert_eq!(devices(&core).await, 1);
}

#[tokio::test]
async fn another_payload_under_the_same_id_is_another_operation() {
    let core = Core::with_joe().await;
    core.add_person("ann").await;
    let (joe, ann) = (core.session("joe").await, core.session("ann").await);
    let first = configured(core.ask_as("one", new_device(&joe, "laptop", &key(1))).await);
    assert_refused(core.ask_as("one", new_device(&ann, "laptop", &key(1))).await, 3, "invalid key");
    let other = configured(core.ask_as("one", new_device(&joe, "laptop", &key(2))).await);
    assert_ne!(first.token, other.token);
    assert_eq!(devices(&core).await, 2);
}

#[tokio::test]
async fn a_refusal_is_remembered_too() {
    let core = Core::with_joe().await;
    let token = core.invite("joe").await;
    assert_refused(core.ask_as("one", new_device(&token, "laptop", &key(1))).await, 16, "Session expired");
    core.ask(start(&token)).await.unwrap();
    assert_refused(core.ask_as("one", new_device(&token, "laptop", &key(1))).await, 16, "Session expired");
    core.ask_as("two", new_device(&token, "laptop", &key(1))).await.unwrap();
    let refused = core.activity().await.iter().filter(|row| row.starts_with("new_device refused")).count();
    assert_eq!(refused, 1, "the repeat was not another try");
}

#[tokio::test]
async fn a_reply_is_kept_ten_minutes() {
    let core = Core::with_joe().await;
    let token = core.invite("joe").await;
    let first = core.ask_as("one", start(&token)).await.unwrap();
    core.wait(WINDOW - 1);
    assert_eq!(core.ask_as("one", start(&token)).await.unwrap(), first);
    core.wait(1);
    assert_refused(core.ask_as("one", start(&token)).await, 16, "invalid token");
}

#[tokio::test]
async fn a_reply_survives_a_restart() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    let first = configured(core.ask_as("one", new_device(&token, "laptop", &key(1))).await);
    let core = core.restart().await;
    assert_eq!(configured(core.ask_as("one", new_device(&token, "laptop", &key(1))).await), first);
}

#[tokio::test]
async fn a_disabled_person_gets_stored_replies_but_nothing_new() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    core.ask_as("one", activate(&token, PASSWORD)).await.unwrap();
    core.disable("joe").await;
    core.ask_as("one", activate(&token, PASSWORD)).await.unwrap();
    assert_refused(core.ask_as("two", activate(&token, PASSWORD)).await, 3, "user is disabled");
}

#[tokio::test]
async fn without_an_id_every_request_is_its_own() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    core.ask(new_device(&token, "laptop", &key(1))).await.unwrap();
    assert_refused(core.ask(new_device(&token, "other", &key(1))).await, 3, "invalid key");
}
