//! A device waits for the approval, wherever and whenever it comes.

use std::time::Duration;

use futures::{
    FutureExt as _,
    future::{join_all, select},
};

use super::support::{MOBILE_APPROVAL, approved, await_approval, delivered};
use crate::{
    mfa::support::{OFFICE, begin_login, login_token},
    support::{Core, assert_refused, refused},
};

const ABORTED: i32 = 10;
const NOT_IN_TIME: i32 = 4;

#[tokio::test]
async fn every_approval_arrives_whichever_comes_first() {
    let (core, joe, phone) = Core::with_phone().await;
    for round in 0..100 {
        let begun = core.begin_signed(MOBILE_APPROVAL, &joe.key).await;
        let approving = async {
            for _ in 0..round % 10 {
                tokio::task::yield_now().await;
            }
            core.ask(phone.approve(&begun)).await
        };
        let (waited, shown) = tokio::join!(core.await_approval(&begun.token), approving);
        assert_eq!(delivered(waited), approved(shown, &begun), "round {round}");
    }
}

#[tokio::test]
async fn the_newer_of_two_sockets_waits_on_and_the_older_is_told() {
    let (core, joe, phone) = Core::with_phone().await;
    let begun = core.begin_signed(MOBILE_APPROVAL, &joe.key).await;
    let [one, other] = [(); 2].map(|()| core.await_approval(&begun.token).boxed());
    // Whichever came first ends when the second is there.
    let (older, newer) = select(one, other).await.factor_first();
    assert_refused(older, ABORTED, "another socket waits for this login");
    let shown = approved(core.ask(phone.approve(&begun)).await, &begun);
    assert_eq!(delivered(newer.await), shown);
}

#[tokio::test]
async fn a_result_is_fetched_again_for_ten_seconds_and_then_gone() {
    let (core, joe, phone) = Core::with_phone().await;
    let begun = core.begin_signed(MOBILE_APPROVAL, &joe.key).await;
    let shown = approved(core.ask(phone.approve(&begun)).await, &begun);
    core.wait(100);
    assert_eq!(delivered(core.await_approval(&begun.token).await), shown);
    core.wait(9);
    assert!(core.is_token_valid(&begun.token).await);
    assert_eq!(delivered(core.await_approval(&begun.token).await), shown);
    core.wait(1);
    assert!(!core.is_token_valid(&begun.token).await);
    assert_refused(core.await_approval(&begun.token).await, 3, "invalid token");
}

#[tokio::test]
async fn a_restart_between_the_steps_loses_nothing() {
    let (core, joe, phone) = Core::with_phone().await;
    let begun = core.begin_signed(MOBILE_APPROVAL, &joe.key).await;
    let core = core.restart().await;
    let shown = approved(core.ask(phone.approve(&begun)).await, &begun);
    let core = core.restart().await;
    assert!(core.is_token_valid(&begun.token).await);
    assert_eq!(delivered(core.await_approval(&begun.token).await), shown);
    let core = core.restart().await;
    assert_eq!(delivered(core.await_approval(&begun.token).await), shown);
}

#[tokio::test]
async fn whoever_waits_too_long_is_told_before_the_deadline() {
    let (core, joe, _) = Core::with_phone().await;
    let begun = core.begin_signed(MOBILE_APPROVAL, &joe.key).await;
    let began = tokio::time::Instant::now();
    let patience = Duration::from_millis(400);
    let reply = core.await_approval_for(patience, &begun.token).await;
    assert_refused(reply, NOT_IN_TIME, "nobody approved this login in time");
    assert!(began.elapsed() < patience);
    assert!(core.is_token_valid(&begun.token).await, "the login itself is still open");
}

#[tokio::test]
async fn a_caller_that_leaves_makes_room_and_the_next_one_waits() {
    let (core, joe, phone) = Core::with_phone().await;
    let begun = core.begin_signed(MOBILE_APPROVAL, &joe.key).await;
    for _ in 0..10 {
        core.await_approval_for(Duration::ZERO, &begun.token).await.unwrap_err();
        drop(Box::pin(core.ask(await_approval(&begun.token))));
    }
    let (waited, shown) = tokio::join!(core.await_approval(&begun.token), core.ask(phone.approve(&begun)));
    assert_eq!(delivered(waited), approved(shown, &begun));
}

#[tokio::test]
async fn results_go_to_their_own_logins() {
    let (core, joe, phone) = Core::with_phone().await;
    let mut begun = Vec::new();
    for _ in 0..10 {
        begun.push(core.begin_signed(MOBILE_APPROVAL, &joe.key).await);
    }
    let waiting = join_all(begun.iter().map(|begun| core.await_approval(&begun.token)));
    let approving = join_all(begun.iter().rev().map(|begun| core.ask(phone.approve(begun))));
    let (waited, shown) = tokio::join!(waiting, approving);
    let shown = shown.into_iter().rev().zip(&begun).map(|(reply, begun)| approved(reply, begun));
    assert_eq!(waited.into_iter().map(delivered).collect::<Vec<_>>(), shown.collect::<Vec<_>>());
}

#[tokio::test]
async fn nobody_waits_for_what_no_phone_approves() {
    let (core, joe, _) = Core::with_phone().await;
    let typed = login_token(core.ask(begin_login(OFFICE, &joe.key)).await);
    assert_refused(core.await_approval(&typed).await, 3, "this login is not one for a phone to approve");
    for unknown in ["", "short", &"x".repeat(32), &"x".repeat(100_000)] {
        assert_eq!(refused(core.await_approval(unknown).await), (3, "invalid token".to_owned()));
    }
    let begun = core.begin_signed(MOBILE_APPROVAL, &joe.key).await;
    core.reset_mfa("joe").await;
    assert_refused(core.await_approval(&begun.token).await, 3, "invalid token");
}
