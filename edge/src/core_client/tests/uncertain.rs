//! What is asked again when nobody can tell whether it took effect, and what makes the outcome certain.

use postern_proto::rejection::Code;

use super::core::{NOTHING, PipeCore, activate, activated, edge, next, operation, poll, polled, refused};
use crate::core_client::CallError;

#[tokio::test(start_paused = true)]
async fn what_was_lost_is_asked_again_where_operations_are_remembered() {
    let (registry, client) = edge();
    let (mut first, mut second) = (PipeCore::ours(&registry, "1"), PipeCore::ours(&registry, "2"));
    let call = activate(&client);
    let asked = next(&mut first, &mut second).await;
    drop(first);
    let again = second.request().await;
    assert_eq!(operation(&again), operation(&asked));
    second.reply(again.id, activated());
    assert_eq!(call.outcome().await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn what_was_lost_is_asked_again_over_a_new_tunnel_of_the_same_core() {
    let (registry, client) = edge();
    let mut old = PipeCore::ours(&registry, "1");
    let call = activate(&client);
    old.request().await;
    let mut new = PipeCore::ours(&registry, "1");
    drop(old);
    let id = new.request().await.id;
    new.reply(id, activated());
    assert_eq!(call.outcome().await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn without_a_replay_memory_at_both_ends_a_lost_request_is_lost() {
    for (lost, left) in [(true, false), (false, true), (false, false)] {
        let (registry, client) = edge();
        let mut lost = if lost { PipeCore::ours(&registry, "1") } else { PipeCore::stock(&registry) };
        let call = activate(&client);
        lost.request().await;
        let mut left = if left { PipeCore::ours(&registry, "2") } else { PipeCore::stock(&registry) };
        drop(lost);
        assert_eq!(call.outcome().await, Err(CallError::TunnelLost));
        assert_eq!(left.rest(), NOTHING);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_harmless_is_asked_again_at_any_core() {
    let (registry, client) = edge();
    let mut lost = PipeCore::stock(&registry);
    let call = poll(&client);
    lost.request().await;
    let mut left = PipeCore::stock(&registry);
    drop(lost);
    let id = left.request().await.id;
    left.reply(id, polled());
    assert!(call.outcome().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn after_a_loss_no_core_that_cannot_look_makes_the_outcome_certain() {
    for code in [Code::Unavailable, Code::ResourceExhausted, Code::Internal, Code::Unimplemented] {
        let (registry, client) = edge();
        let (mut first, mut second) = (PipeCore::ours(&registry, "1"), PipeCore::ours(&registry, "2"));
        let call = activate(&client);
        next(&mut first, &mut second).await;
        drop(first);
        let id = second.request().await.id;
        second.reject(id, code);
        assert_eq!(call.outcome().await, Err(CallError::TunnelLost), "{code:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_loss_the_word_of_a_core_that_remembers_counts() {
    let (registry, client) = edge();
    let (mut first, mut second) = (PipeCore::ours(&registry, "1"), PipeCore::ours(&registry, "2"));
    let call = activate(&client);
    next(&mut first, &mut second).await;
    drop(first);
    let id = second.request().await.id;
    second.reject(id, Code::AlreadyExists);
    assert_eq!(call.outcome().await, Err(refused(Code::AlreadyExists)));
}

#[tokio::test(start_paused = true)]
async fn a_core_that_cannot_tell_the_outcome_is_followed_by_another_which_can() {
    let (registry, client) = edge();
    let (mut unsure, mut other) = (PipeCore::ours(&registry, "1"), PipeCore::ours(&registry, "2"));
    let call = activate(&client);
    let asked = next(&mut unsure, &mut other).await;
    unsure.reject(asked.id, Code::Unknown);
    let again = other.request().await;
    assert_eq!(operation(&again), operation(&asked));
    other.reply(again.id, activated());
    assert_eq!(call.outcome().await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn after_an_unknown_outcome_only_another_core_of_ours_is_asked_and_only_its_word_is_certain() {
    let (registry, client) = edge();
    let mut unsure = PipeCore::ours(&registry, "1");
    let call = activate(&client);
    let id = unsure.request().await.id;
    let mut stock = PipeCore::stock(&registry);
    unsure.reject(id, Code::Unknown);
    assert_eq!(call.outcome().await, Err(refused(Code::Unknown)));
    assert_eq!(stock.rest(), NOTHING);
    drop(stock);

    let mut other = PipeCore::ours(&registry, "2");
    let call = activate(&client);
    let id = next(&mut unsure, &mut other).await.id;
    unsure.reject(id, Code::Unknown);
    let id = other.request().await.id;
    other.reject(id, Code::Unavailable);
    assert_eq!(call.outcome().await, Err(CallError::TunnelLost));
}
