//! How often somebody may guess, and what it costs whom.

use super::support::{AWAY, HOME, begin_setup, end_login, end_setup, passed};
use crate::support::{Core, assert_refused};

const HOUR: i64 = 3600;
const ELSEWHERE: &str = "SELECT elsewhere_failures FROM authenticators WHERE person_id = 1";
const FAMILIAR: &str = "SELECT familiar_failures FROM authenticators WHERE person_id = 1";

#[tokio::test]
async fn five_failures_are_free_then_the_wait_doubles_to_an_hour() {
    let (core, joe) = Core::with_member().await;
    let mut waits = Vec::new();
    assert_eq!(core.guess_from(AWAY, &joe).await, 5);
    while waits.len() < 10 {
        let rejection = core.show_from(AWAY, &joe, &core.code(&joe.seed)).await.unwrap_err();
        let wait = i64::from(rejection.retry_after_seconds.unwrap());
        assert_eq!(rejection.message, format!("too many failed attempts; try again in {wait} s"));
        core.wait(wait - 1);
        let rejection = core.show_from(AWAY, &joe, &core.code(&joe.seed)).await.unwrap_err();
        assert_eq!(rejection.retry_after_seconds, Some(1), "a second too early, with the right code");
        core.wait(1);
        assert_eq!(core.guess_from(AWAY, &joe).await, 1);
        waits.push(wait);
    }
    assert_eq!(waits, [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]);
}

#[tokio::test]
async fn after_fifty_in_a_row_only_an_administrator_helps() {
    let (core, joe) = Core::with_member().await;
    let mut looked_at = 0;
    for _ in 0..100 {
        looked_at += core.guess_from(AWAY, &joe).await;
        core.wait(HOUR);
    }
    assert_eq!(looked_at, 50);
    core.wait(1000 * HOUR);
    let token = core.begin_from(AWAY, &joe.key).await;
    let rejection = core.ask_from(AWAY, end_login(&token, &core.code(&joe.seed))).await.unwrap_err();
    assert_eq!(rejection.message, "too many failed attempts; ask your administrator to unlock you");
    assert_eq!((rejection.code as i32, rejection.retry_after_seconds), (8, Some(3600)));
    core.unlock("joe").await;
    passed(core.ask_from(AWAY, end_login(&token, &core.code(&joe.seed))).await);
}

#[tokio::test]
async fn neither_a_new_start_nor_a_restart_forgets_a_failure() {
    let (core, joe) = Core::with_member().await;
    for _ in 0..5 {
        assert_refused(core.show(&joe, &core.wrong_code(&joe.seed)).await, 16, "unauthorized");
    }
    let core = core.restart().await;
    let rejection = core.show(&joe, &core.code(&joe.seed)).await.unwrap_err();
    assert_eq!(rejection.code as i32, 8);
}

#[tokio::test]
async fn a_success_forgives_its_own_side_only() {
    let (core, joe) = Core::with_member().await;
    for _ in 0..3 {
        assert_refused(core.show(&joe, &core.wrong_code(&joe.seed)).await, 16, "unauthorized");
    }
    core.guess_from(AWAY, &joe).await;
    passed(core.show(&joe, &core.code(&joe.seed)).await);
    assert_eq!((core.count(FAMILIAR).await, core.count(ELSEWHERE).await), (0, 5));
    core.unlock("joe").await;
    assert_eq!((core.count(FAMILIAR).await, core.count(ELSEWHERE).await), (0, 0));
}

#[tokio::test]
async fn a_spent_code_counts_as_a_failure() {
    let (core, joe) = Core::with_member().await;
    let code = core.code(&joe.seed);
    passed(core.show(&joe, &code).await);
    for _ in 0..5 {
        assert_refused(core.show(&joe, &code).await, 16, "unauthorized");
    }
    assert_eq!(core.show(&joe, &code).await.unwrap_err().code as i32, 8);
}

#[tokio::test]
async fn a_repeated_operation_counts_once() {
    let (core, joe) = Core::with_member().await;
    let finish = end_login(&core.begin(&joe.key).await, &core.wrong_code(&joe.seed));
    for _ in 0..20 {
        assert_refused(core.ask_as("one", finish.clone()).await, 16, "unauthorized");
    }
    assert_eq!(core.count(FAMILIAR).await, 1);
    for number in 0..4 {
        assert_refused(core.ask_as(&format!("more-{number}"), finish.clone()).await, 16, "unauthorized");
    }
    assert_eq!(core.ask_as("late", finish.clone()).await.unwrap_err().code as i32, 8);
    assert_refused(core.ask_as("one", finish.clone()).await, 16, "unauthorized");
    core.wait(30);
    assert_refused(core.ask_as("late", finish).await, 16, "unauthorized");
    assert_eq!(core.count(FAMILIAR).await, 6, "what was put off was not counted, and is tried later");
}

#[tokio::test]
async fn a_guess_that_comes_too_early_changes_nothing_but_a_few_rows_of_activity() {
    let (core, joe) = Core::with_member().await;
    core.guess_from(AWAY, &joe).await;
    core.wait(1);
    let token = core.begin_from(AWAY, &joe.key).await;
    let jobs = core.activity().await.len();
    for _ in 0..200 {
        core.ask_from(AWAY, end_login(&token, "000000")).await.unwrap_err();
    }
    assert_eq!(core.activity().await.len() - jobs, 5, "a stranger does not decide how fast the database grows");
    assert_eq!(core.count(ELSEWHERE).await, 5);
    let last = core.activity().await.pop().unwrap();
    assert_eq!(last, "client_mfa_finish refused joe too many failed attempts; try again in 29 s");
}

#[tokio::test]
async fn ten_thousand_guesses_from_a_thousand_addresses_get_a_hundred_looks_at_most() {
    let (core, joe) = Core::with_member().await;
    let wrong = core.wrong_code(&joe.seed);
    let mut looked_at = 0;
    for number in 0..1000 {
        // Only one of ten addresses is in the owner's own network.
        let ip = if number % 10 == 0 { HOME.to_owned() } else { format!("198.51.{}.{}", number / 250, number % 250) };
        let token = core.begin_from(&ip, &joe.key).await;
        let guesses = (0..10).map(|_| core.ask_from(&ip, end_login(&token, &wrong)));
        let replies = futures::future::join_all(guesses).await;
        looked_at += replies.into_iter().filter(|reply| reply.as_ref().unwrap_err().code as i32 == 16).count();
        core.wait(HOUR);
    }
    assert_eq!(looked_at, 60);
    assert_eq!((core.count(FAMILIAR).await, core.count(ELSEWHERE).await), (10, 50));
}

#[tokio::test]
async fn from_wherever_the_guesses_come_a_hundred_are_looked_at() {
    let (core, joe) = Core::with_member().await;
    let networks: Vec<_> = (0..8).map(|number| format!("192.0.2.{number}")).collect();
    for network in &networks {
        passed(core.show_from(network, &joe, &core.code(&joe.seed)).await);
        core.wait(30);
    }
    let mut looked_at = 0;
    for _ in 0..60 {
        for network in networks.iter().map(String::as_str).chain([HOME, AWAY]) {
            looked_at += core.guess_from(network, &joe).await;
        }
        core.wait(HOUR);
    }
    assert_eq!(looked_at, 100);
    assert_eq!((core.count(FAMILIAR).await, core.count(ELSEWHERE).await), (50, 50));
}

#[tokio::test]
async fn somebody_behind_one_familiar_address_puts_the_owner_off_only_there() {
    const OFFICE: &str = "192.0.2.1";
    let (core, joe) = Core::with_member().await;
    passed(core.show_from(OFFICE, &joe, &core.code(&joe.seed)).await);
    for _ in 0..40 {
        core.wait(HOUR);
        core.guess_from(OFFICE, &joe).await;
    }
    core.wait(30);
    assert_eq!(core.show_from(OFFICE, &joe, &core.code(&joe.seed)).await.unwrap_err().code as i32, 8);
    passed(core.show_from(HOME, &joe, &core.code(&joe.seed)).await);
    core.wait(30);
    passed(core.show_from(OFFICE, &joe, &core.code(&joe.seed)).await);
}

#[tokio::test]
async fn failures_under_a_clock_that_was_ahead_keep_nobody_out_when_it_is_set_right() {
    let (core, joe) = Core::with_member().await;
    core.wait(1000 * HOUR);
    for ip in [HOME, AWAY] {
        core.guess_from(ip, &joe).await;
    }
    core.wait(-1000 * HOUR);
    passed(core.show_from(HOME, &joe, &core.code(&joe.seed)).await);
    core.wait(30);
    passed(core.show_from(AWAY, &joe, &core.code(&joe.seed)).await);
}

#[tokio::test]
async fn set_up_and_login_share_a_counter() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    let seed = super::support::seed(core.ask(begin_setup(&token)).await);
    for _ in 0..4 {
        assert_refused(core.ask(end_setup(&token, &core.wrong_code(&seed))).await, 3, "Code invalid");
    }
    assert_eq!(core.count(FAMILIAR).await, 4);
}
