//! Many at once.

use super::support::{STEP, end_login};
use crate::support::Core;

const ROUNDS: usize = 20;

#[tokio::test]
async fn of_fifty_uses_of_one_code_one_succeeds() {
    let (core, joe) = Core::with_member().await;
    for round in 0..ROUNDS {
        let code = core.code(&joe.seed);
        let shared = core.begin(&joe.key).await;
        let mut tokens = Vec::new();
        for _ in 0..5 {
            tokens.push(core.begin(&joe.key).await);
        }
        let asked = (0..50).map(|number| {
            let token = if round % 2 == 0 { &shared } else { &tokens[number % tokens.len()] };
            core.ask(end_login(token, &code))
        });
        let replies = futures::future::join_all(asked).await;
        assert_eq!(replies.iter().filter(|reply| reply.is_ok()).count(), 1, "round {round}");
        core.unlock("joe").await;
        core.wait(STEP);
    }
}

#[tokio::test]
async fn of_fifty_uses_of_one_recovery_code_one_succeeds() {
    let (core, joe) = Core::with_member().await;
    for code in &joe.recovery_codes {
        let mut tokens = Vec::new();
        for _ in 0..5 {
            tokens.push(core.begin(&joe.key).await);
        }
        let asked = (0..50).map(|number| core.ask(end_login(&tokens[number % tokens.len()], code)));
        let replies = futures::future::join_all(asked).await;
        assert_eq!(replies.iter().filter(|reply| reply.is_ok()).count(), 1);
        core.unlock("joe").await;
    }
}

#[tokio::test]
async fn of_a_thousand_wrong_codes_at_once_five_are_looked_at() {
    let (core, joe) = Core::with_member().await;
    let token = core.begin(&joe.key).await;
    let wrong = core.wrong_code(&joe.seed);
    let replies = futures::future::join_all((0..1000).map(|_| core.ask(end_login(&token, &wrong)))).await;
    let looked_at = replies.into_iter().filter(|reply| reply.as_ref().unwrap_err().code as i32 == 16).count();
    assert_eq!(looked_at, 5);
    assert_eq!(core.count("SELECT familiar_failures FROM authenticators").await, 5);
}
