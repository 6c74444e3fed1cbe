//! Polling.

use std::{future::pending, sync::Arc};

use futures::{
    FutureExt as _,
    future::{join, join_all},
};
use postern_core::{person, store::StoreError};
use postern_core_link::Reply;
use postern_proto::proxy::core_request;
use tokio::{sync::Semaphore, task::JoinSet};

use crate::support::{Core, assert_refused, configured, existing_device, key, new_device, poll, polled};

#[tokio::test]
async fn a_poll_gives_the_setup_without_the_token() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    let made = configured(core.ask(new_device(&token, "laptop", &key(1))).await);
    let setup = polled(core.ask(poll(made.token.as_deref().unwrap())).await);
    assert_eq!((setup.device, setup.configs, setup.instance), (made.device, made.configs, made.instance));
    assert_eq!(setup.token, None);
}

#[tokio::test]
async fn unknown_tokens_and_disabled_people_are_refused() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    let polling = configured(core.ask(new_device(&token, "laptop", &key(1))).await).token.unwrap();
    for unknown in ["", "nope", &"x".repeat(32)] {
        assert_refused(core.ask(poll(unknown)).await, 7, "invalid token");
    }
    core.disable("joe").await;
    assert_refused(core.ask(poll(&polling)).await, 7, "user inactive");
}

#[tokio::test]
async fn a_device_keeps_its_three_newest_tokens() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    let mut polling = vec![configured(core.ask(new_device(&token, "laptop", &key(1))).await).token.unwrap()];
    for _ in 0..3 {
        polling.push(configured(core.ask(existing_device(&token, &key(1))).await).token.unwrap());
    }
    assert_refused(core.ask(poll(&polling[0])).await, 7, "invalid token");
    for newer in &polling[1..] {
        core.ask(poll(newer)).await.unwrap();
    }
}

#[tokio::test]
async fn a_device_without_any_location_is_served() {
    let core = Core::start().await;
    core.add_person("joe").await;
    let token = core.session("joe").await;
    let made = configured(core.ask(new_device(&token, "laptop", &key(1))).await);
    assert!(polled(core.ask(poll(&made.token.unwrap())).await).configs.is_empty());
}

#[tokio::test]
async fn a_poll_writes_nothing() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    let polling = configured(core.ask(new_device(&token, "laptop", &key(1))).await).token.unwrap();
    let before = core.activity().await;
    for number in 0..20 {
        core.ask_as(&format!("poll-{number}"), poll(&polling)).await.unwrap();
    }
    assert_eq!(core.activity().await, before);
}

#[tokio::test]
async fn devices_that_poll_at_once_get_each_its_own_setup() {
    let core = Core::with_joe().await;
    core.add_person("eve").await;
    let mut tokens = Vec::new();
    for number in 0..21 {
        let session = core.session("joe").await;
        let made = configured(core.ask(new_device(&session, &format!("device {number}"), &key(number))).await);
        tokens.push(made.token.unwrap());
    }
    let session = core.session("eve").await;
    let of_eve = configured(core.ask(new_device(&session, "laptop", &key(99))).await).token.unwrap();
    core.disable("eve").await;
    let nobodys = "x".repeat(32);
    let asked = tokens.iter().chain([&of_eve, &nobodys]).chain(&tokens);

    let mut replies = all_wait(&core, asked.map(|token| poll(token)).collect()).await.into_iter();

    for _ in 0..2 {
        for (number, reply) in replies.by_ref().take(tokens.len()).enumerate() {
            let device = polled(reply).device.unwrap();
            assert_eq!((device.name, device.pubkey), (format!("device {number}"), key(number.try_into().unwrap())));
        }
        if let Some(refused) = replies.next() {
            assert_refused(refused, 7, "user inactive");
            assert_refused(replies.next().unwrap(), 7, "invalid token");
        }
    }
}

#[tokio::test]
async fn a_damaged_device_keeps_none_from_its_setup_that_polls_beside_it() {
    let core = Core::with_joe().await;
    let mut polls = Vec::new();
    for number in 0..3 {
        let session = core.session("joe").await;
        let made = configured(core.ask(new_device(&session, &format!("device {number}"), &key(number))).await);
        polls.push(poll(&made.token.unwrap()));
    }
    core.execute(
        "UPDATE device_addresses SET host_offset = -1
         WHERE device_id = (SELECT id FROM devices WHERE name = 'device 1')",
    )
    .await;
    let replies = all_wait(&core, polls).await;
    let is_served: Vec<bool> = replies.iter().map(Result::is_ok).collect();
    assert_eq!(is_served, [true, false, true]);
}

#[tokio::test]
async fn whoever_does_not_poll_never_waits_for_all_who_do() {
    let core = Core::with_joe().await;
    let (begun, mut polls) = (Arc::new(Semaphore::new(0)), JoinSet::new());
    for _ in 0..64 {
        let (store, begun) = (core.store.clone(), Arc::clone(&begun));
        polls.spawn(async move {
            let _turn = store.last_turn().await?;
            let stays = store.read::<(), StoreError, _>(|_| {
                begun.add_permits(1);
                Box::pin(pending())
            });
            stays.await
        });
    }
    // As many as get a reader where there are fewest.
    begun.acquire_many(2).await.unwrap().forget();
    for _ in 0..3 {
        let people = core.store.read(|tx| Box::pin(person::list(tx))).await.unwrap();
        assert_eq!(people.len(), 1);
    }
    polls.shutdown().await;
}

/// The replies to requests that all wait for a turn before the first has one.
async fn all_wait(core: &Core, requests: Vec<core_request::Payload>) -> Vec<Reply> {
    let mut turns = Vec::new();
    while let Some(turn) = core.store.last_turn().now_or_never() {
        turns.push(turn.unwrap());
    }
    let asked = join_all(requests.into_iter().map(|request| core.ask(request)));
    let (replies, ()) = join(asked, async { drop(turns) }).await;
    replies
}
