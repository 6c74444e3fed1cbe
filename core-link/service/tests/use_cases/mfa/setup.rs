//! Setting up an app.

use postern_proto::{client_types as client, proxy::core_request};

use super::support::{STEP, begin_setup, end_setup, recovery_codes, seed};
use crate::support::{Core, PASSWORD, SESSION, activate, assert_refused};

#[tokio::test]
async fn a_first_code_confirms_the_seed_and_gives_eight_recovery_codes() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    let seed = seed(core.ask(begin_setup(&token)).await);
    assert_eq!((seed.len(), seed.contains('=')), (32, false));
    let codes = recovery_codes(core.ask(end_setup(&token, &core.code(&seed))).await);
    assert_eq!(codes.len(), 8);
    assert!(codes.iter().all(|code| code.len() == 16 && code.bytes().all(|byte| byte.is_ascii_alphanumeric())));
    let last = core.activity().await.pop().unwrap();
    assert_eq!(last, "code_mfa_setup_finish done joe");
}

#[tokio::test]
async fn begun_again_a_set_up_gives_the_same_seed() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    let first = seed(core.ask(begin_setup(&token)).await);
    let core = core.restart().await;
    assert_eq!(seed(core.ask(begin_setup(&token)).await), first);
    recovery_codes(core.ask(end_setup(&token, &core.code(&first))).await);
}

#[tokio::test]
async fn the_code_of_the_step_before_counts_and_no_other() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    let seed = seed(core.ask(begin_setup(&token)).await);
    let (past, next) = (core.code(&seed), crate::authenticator::code(&seed, core.unix() + STEP));
    assert_refused(core.ask(end_setup(&token, &next)).await, 3, "Code invalid");
    core.wait(2 * STEP);
    assert_refused(core.ask(end_setup(&token, &past)).await, 3, "Code invalid");
    let before = crate::authenticator::code(&seed, core.unix() - STEP);
    recovery_codes(core.ask(end_setup(&token, &before)).await);
}

#[tokio::test]
async fn after_a_finish_whose_answer_was_lost_a_new_set_up_replaces_the_old_one() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    let (lost, lost_codes) = core.set_up(&token).await;
    assert_refused(core.ask(end_setup(&token, &core.code(&lost))).await, 3, "Mfa already enabled on the account");
    let (kept, kept_codes) = core.set_up(&token).await;
    assert_ne!(lost, kept);
    assert!(lost_codes.iter().all(|code| !kept_codes.contains(code)));
    assert_eq!(core.count("SELECT COUNT(*) FROM recovery_codes").await, 8);
}

#[tokio::test]
async fn a_repeated_finish_gives_the_same_recovery_codes() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    let seed = seed(core.ask(begin_setup(&token)).await);
    let finish = end_setup(&token, &core.code(&seed));
    let first = recovery_codes(core.ask_as("one", finish.clone()).await);
    assert_eq!(recovery_codes(core.ask_as("one", finish).await), first);
}

#[tokio::test]
async fn an_enrolled_person_with_a_factor_cannot_set_up_another() {
    let (core, _) = Core::with_member().await;
    let token = core.session("joe").await;
    assert_refused(core.ask(begin_setup(&token)).await, 7, "User is already enrolled");
    assert_refused(core.ask(end_setup(&token, "000000")).await, 7, "User is already enrolled");
}

#[tokio::test]
async fn activation_ends_what_its_session_may_set_up() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    core.set_up(&token).await;
    core.ask(activate(&token, PASSWORD)).await.unwrap();
    assert_refused(core.ask(begin_setup(&token)).await, 7, "User is already enrolled");
}

#[tokio::test]
async fn activation_in_another_session_ends_it_too() {
    let core = Core::with_joe().await;
    let first = core.session("joe").await;
    core.set_up(&first).await;
    let begun = seed(core.ask(begin_setup(&first)).await);
    let second = core.session("joe").await;
    core.ask(activate(&second, PASSWORD)).await.unwrap();
    assert_refused(core.ask(begin_setup(&first)).await, 7, "User is already enrolled");
    assert_refused(core.ask(end_setup(&first, &core.code(&begun))).await, 7, "User is already enrolled");
}

#[tokio::test]
async fn a_factor_of_another_session_stays() {
    let core = Core::with_joe().await;
    let first = core.session("joe").await;
    core.set_up(&first).await;
    let second = core.session("joe").await;
    assert_refused(core.ask(begin_setup(&second)).await, 3, "Method already enabled");
    assert_refused(core.ask(end_setup(&second, "000000")).await, 3, "Mfa already enabled on the account");
    core.ask(activate(&second, PASSWORD)).await.unwrap();
}

#[tokio::test]
async fn after_a_reset_a_fresh_token_sets_up_a_new_factor() {
    let (core, joe) = Core::with_member().await;
    core.reset_mfa("joe").await;
    let token = core.session("joe").await;
    let (seed, _) = core.set_up(&token).await;
    assert_ne!(seed, joe.seed);
    let again = core.set_up(&token).await.0;
    assert_ne!(again, seed, "also when the answer was lost, as long as the session is open");
}

#[tokio::test]
async fn a_set_up_belongs_to_the_session_that_began_it() {
    let core = Core::with_joe().await;
    let (first, second) = (core.session("joe").await, core.session("joe").await);
    let shown = seed(core.ask(begin_setup(&first)).await);
    assert_refused(core.ask(end_setup(&second, &core.code(&shown))).await, 3, "Code invalid");
    let newer = seed(core.ask(begin_setup(&second)).await);
    assert_ne!(newer, shown);
    assert_refused(core.ask(end_setup(&first, &core.code(&shown))).await, 3, "Code invalid");
    recovery_codes(core.ask(end_setup(&second, &core.code(&newer))).await);
}

#[tokio::test]
async fn without_an_open_session_nothing_is_set_up() {
    let core = Core::with_joe().await;
    let unopened = core.invite("joe").await;
    assert_refused(core.ask(begin_setup(&unopened)).await, 16, "Session expired");
    let token = core.session("joe").await;
    let seed = seed(core.ask(begin_setup(&token)).await);
    core.wait(SESSION);
    assert_refused(core.ask(end_setup(&token, &core.code(&seed))).await, 16, "Session expired");
    for unknown in ["", "nope", &"x".repeat(32)] {
        assert_refused(core.ask(begin_setup(unknown)).await, 16, "invalid token");
        assert_refused(core.ask(end_setup(unknown, "000000")).await, 16, "invalid token");
    }
}

#[tokio::test]
async fn a_disabled_person_sets_up_nothing() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    let seed = seed(core.ask(begin_setup(&token)).await);
    core.disable("joe").await;
    assert_refused(core.ask(begin_setup(&token)).await, 7, "user is disabled");
    assert_refused(core.ask(end_setup(&token, &core.code(&seed))).await, 7, "user is disabled");
}

#[tokio::test]
async fn other_methods_are_not_supported() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    for method in [1, 2, 3, 4, 5, -1] {
        let start = client::CodeMfaSetupStartRequest { method, token: token.clone() };
        let start = core_request::Payload::CodeMfaSetupStart(start);
        assert_refused(core.ask(start).await, 3, "Method not supported");
        let finish = client::CodeMfaSetupFinishRequest { code: "000000".to_owned(), token: token.clone(), method };
        let finish = core_request::Payload::CodeMfaSetupFinish(finish);
        assert_refused(core.ask(finish).await, 3, "Method not supported");
    }
}

#[tokio::test]
async fn guesses_at_a_set_up_are_counted_too() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    assert_refused(core.ask(end_setup(&token, "000000")).await, 3, "Code invalid");
    let seed = seed(core.ask(begin_setup(&token)).await);
    for _ in 0..5 {
        assert_refused(core.ask(end_setup(&token, &core.wrong_code(&seed))).await, 3, "Code invalid");
    }
    let rejection = core.ask(end_setup(&token, &core.code(&seed))).await.unwrap_err();
    assert_eq!((rejection.code as i32, rejection.retry_after_seconds), (8, Some(30)));
    core.wait(30);
    recovery_codes(core.ask(end_setup(&token, &core.code(&seed))).await);
    assert_eq!(core.count("SELECT familiar_failures FROM authenticators").await, 0);
}
