//! Recovery codes.

use super::support::{AWAY, HOME, end_login, passed};
use crate::support::{Core, assert_refused};

#[tokio::test]
async fn each_opens_one_login_and_is_named_in_the_activity() {
    let (core, joe) = Core::with_member().await;
    for code in &joe.recovery_codes {
        passed(core.show(&joe, code).await);
        assert_eq!(
            core.activity().await.pop().unwrap(),
            "client_mfa_finish done joe recovery code; device 1 at Office"
        );
        assert_refused(core.show(&joe, code).await, 16, "unauthorized");
    }
    assert_eq!(core.count("SELECT COUNT(*) FROM recovery_codes WHERE used_at IS NOT NULL").await, 8);
}

#[tokio::test]
async fn a_code_that_differs_in_one_letter_or_case_is_another() {
    let (core, joe) = Core::with_member().await;
    let code = &joe.recovery_codes[0];
    let swapped: String = code
        .chars()
        .map(
            |letter| {
                if letter.is_ascii_lowercase() { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() }
            },
        )
        .collect();
    let other = format!("{}{}", &code[..15], if code.ends_with('a') { 'b' } else { 'a' });
    for wrong in [swapped.as_str(), &other, &code[..15], &format!("{code}0"), &"x".repeat(16)] {
        core.unlock("joe").await;
        assert_refused(core.show(&joe, wrong).await, 16, "unauthorized");
    }
    passed(core.show(&joe, code).await);
}

#[tokio::test]
async fn one_opens_past_every_delay_and_lock_and_forgives_that_side() {
    let (core, joe) = Core::with_member().await;
    core.guess_from(AWAY, &joe).await;
    let token = core.begin_from(AWAY, &joe.key).await;
    let guessed = core.ask_from(AWAY, end_login(&token, &"x".repeat(16))).await.unwrap_err();
    assert_eq!(guessed.code as i32, 8, "a wrong one is put off as ever");
    passed(core.ask_from(AWAY, end_login(&token, &joe.recovery_codes[0])).await);
    assert_eq!(core.count("SELECT elsewhere_failures FROM authenticators").await, 0);
    for _ in 0..40 {
        core.guess_from(HOME, &joe).await;
        core.wait(3600);
    }
    let locked = core.show(&joe, &core.code(&joe.seed)).await.unwrap_err();
    assert_eq!(locked.message, "too many failed attempts; ask your administrator to unlock you");
    let spent = core.show(&joe, &joe.recovery_codes[0]).await.unwrap_err();
    assert_eq!(spent.code as i32, 8);
    passed(core.show(&joe, &joe.recovery_codes[1]).await);
    passed(core.show(&joe, &core.code(&joe.seed)).await);
}

#[tokio::test]
async fn guessed_recovery_codes_count() {
    let (core, joe) = Core::with_member().await;
    let token = core.begin(&joe.key).await;
    for _ in 0..5 {
        assert_refused(core.ask(end_login(&token, &"x".repeat(16))).await, 16, "unauthorized");
    }
    let rejection = core.ask(end_login(&token, &core.code(&joe.seed))).await.unwrap_err();
    assert_eq!(rejection.code as i32, 8);
}
