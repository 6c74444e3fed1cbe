//! Where a request is asked again, and where never.

use postern_proto::rejection::Code;
use tokio::time::Instant;

use super::core::{BUDGET, NOTHING, PipeCore, activate, activated, edge, next, operation, poll, refused};
use crate::{core_client::CallError, tunnel::in_flight::IN_FLIGHT_MAX};

#[tokio::test(start_paused = true)]
async fn what_was_not_sent_goes_over_another_tunnel() {
    let (registry, client) = edge();
    let mut ended = PipeCore::stock(&registry);
    ended.break_off();
    let mut well = PipeCore::ours(&registry, "well");
    for _ in 0..20 {
        let call = activate(&client);
        let id = well.request().await.id;
        well.reply(id, activated());
        assert_eq!(call.outcome().await, Ok(()));
    }
    assert_eq!(ended.rest(), NOTHING);
}

#[tokio::test(start_paused = true)]
async fn what_a_full_tunnel_does_not_take_goes_over_another() {
    let (registry, client) = edge();
    let mut full = PipeCore::ours(&registry, "full");
    let mut held = Vec::new();
    for _ in 0..IN_FLIGHT_MAX {
        held.push(activate(&client));
        full.request().await;
    }
    assert_eq!(activate(&client).outcome().await, Err(CallError::Overloaded));
    let mut silent = PipeCore::ours(&registry, "silent");
    silent.fall_silent();
    let call = activate(&client);
    let id = silent.request().await.id;
    silent.reply(id, activated());
    assert_eq!(call.outcome().await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_core_that_rolled_back_is_followed_by_another_under_the_same_operation() {
    let (registry, client) = edge();
    let (mut first, mut second) = (PipeCore::ours(&registry, "1"), PipeCore::ours(&registry, "2"));
    let call = activate(&client);
    let asked = next(&mut first, &mut second).await;
    first.reject(asked.id, Code::Unavailable);
    let again = second.request().await;
    assert_eq!(operation(&again), operation(&asked));
    second.reply(again.id, activated());
    assert_eq!(call.outcome().await, Ok(()));
    assert_eq!((first.rest(), second.rest()), (NOTHING, NOTHING));
}

#[tokio::test(start_paused = true)]
async fn when_every_core_rolled_back_that_is_the_answer() {
    let (registry, client) = edge();
    let (mut first, mut second) = (PipeCore::ours(&registry, "1"), PipeCore::stock(&registry));
    let call = activate(&client);
    let id = next(&mut first, &mut second).await.id;
    first.reject(id, Code::Unavailable);
    let id = second.request().await.id;
    second.reject(id, Code::Unavailable);
    assert_eq!(call.outcome().await, Err(refused(Code::Unavailable)));
    assert_eq!((first.rest(), second.rest()), (NOTHING, NOTHING));
}

#[tokio::test(start_paused = true)]
async fn nobody_is_asked_after_three() {
    let (registry, client) = edge();
    let mut cores: Vec<_> = (0..5).map(|core| PipeCore::ours(&registry, &core.to_string())).collect();
    let call = poll(&client);
    let mut asked = 0;
    while asked < 3 {
        tokio::task::yield_now().await;
        for core in &mut cores {
            if let Some(request) = core.try_next() {
                asked += 1;
                core.reject(request.id, Code::Unavailable);
            }
        }
    }
    assert_eq!(call.outcome().await, Err(refused(Code::Unavailable)));
    assert!(cores.iter_mut().all(|core| core.rest() == NOTHING));
}

#[tokio::test(start_paused = true)]
async fn of_a_silent_core_and_another_the_first_reply_counts() {
    for silent_replies_first in [true, false] {
        let (registry, client) = edge();
        let (mut silent, mut other) = (PipeCore::ours(&registry, "1"), PipeCore::ours(&registry, "2"));
        let call = activate(&client);
        let asked = next(&mut silent, &mut other).await;
        silent.fall_silent();
        let again = other.request().await;
        silent.fall_silent();
        assert_eq!(operation(&again), operation(&asked));
        let (winner, id, loser) = if silent_replies_first {
            (&mut silent, asked.id, &mut other)
        } else {
            (&mut other, again.id, &mut silent)
        };
        assert!(winner.reply(id, activated()));
        assert_eq!(call.outcome().await, Ok(()));
        assert_eq!(winner.rest(), NOTHING);
        let loser_id = if silent_replies_first { again.id } else { asked.id };
        assert_eq!(loser.rest(), (vec![], vec![loser_id]), "the loser is called off, and asked once");
        assert!(!loser.reply(loser_id, activated()), "its late reply reaches nobody");
    }
}

#[tokio::test(start_paused = true)]
async fn silence_alone_loses_nothing_and_another_core_is_asked_when_it_comes() {
    let (registry, client) = edge();
    let mut silent = PipeCore::ours(&registry, "1");
    let calls = [activate(&client), activate(&client)];
    let ids = [silent.request().await.id, silent.request().await.id];
    silent.fall_silent();
    tokio::task::yield_now().await;
    assert!(silent.reply(ids[0], activated()), "it is still waited for");
    let mut other = PipeCore::ours(&registry, "2");
    silent.fall_silent();
    let id = other.request().await.id;
    other.reply(id, activated());
    for call in calls {
        assert_eq!(call.outcome().await, Ok(()));
    }
}

#[tokio::test(start_paused = true)]
async fn no_repeat_outlasts_the_deadline() {
    let (registry, client) = edge();
    let (mut silent, mut other) = (PipeCore::ours(&registry, "1"), PipeCore::ours(&registry, "2"));
    let begun = Instant::now();
    let call = activate(&client);
    let first = next(&mut silent, &mut other).await;
    silent.fall_silent();
    let second = other.request().await;
    assert_eq!(call.outcome().await, Err(CallError::DeadlineExceeded));
    assert_eq!(begun.elapsed(), BUDGET);
    assert_eq!((silent.rest(), other.rest()), ((vec![], vec![first.id]), (vec![], vec![second.id])));
    assert_eq!(registry.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_never_asked_for_again() {
    for code in
        [Code::ResourceExhausted, Code::Internal, Code::NotFound, Code::FailedPrecondition, Code::DeadlineExceeded]
    {
        let (registry, client) = edge();
        let (mut first, mut second) = (PipeCore::ours(&registry, "1"), PipeCore::ours(&registry, "2"));
        let call = poll(&client);
        let id = next(&mut first, &mut second).await.id;
        first.reject(id, code);
        assert_eq!(call.outcome().await, Err(refused(code)));
        assert_eq!((first.rest(), second.rest()), (NOTHING, NOTHING));
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_cannot_be_understood_is_not_asked_for_again() {
    let (registry, client) = edge();
    let (mut first, mut second) = (PipeCore::ours(&registry, "1"), PipeCore::ours(&registry, "2"));
    let call = poll(&client);
    let id = next(&mut first, &mut second).await.id;
    first.reply(id, activated());
    assert_eq!(call.outcome().await, Err(CallError::BadReply));
    assert_eq!((first.rest(), second.rest()), (NOTHING, NOTHING));
}
