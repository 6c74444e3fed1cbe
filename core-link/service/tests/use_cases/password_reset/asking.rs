//! Asking for a mail tells nothing, and floods nobody.

use postern_core::mail::MailUse;
use postern_proto::proxy::core_response::Payload;

use super::{JOE, OTHER};
use crate::{
    mfa::support::AWAY,
    support::{
        Core, DAY,
        mails::{ask_reset, reset, start_reset},
        refused,
    },
};

#[tokio::test]
async fn everybody_is_answered_alike_and_only_who_may_is_mailed() {
    let (core, _) = Core::with_mailed_member().await;
    for login in ["ann", "bob"] {
        core.add_person(login).await;
    }
    core.enroll("ann", 2).await;
    core.disable("ann").await;
    let before = core.activity().await.len();
    let nobody = ["", "x\r\nBcc: y@example.org", "zero\0@example.org"];
    for email in ["nobody@example.org", "ann@example.org", "bob@example.org"].into_iter().chain(nobody).chain([JOE]) {
        assert_eq!(core.ask(ask_reset(email)).await.unwrap(), Payload::Empty(()), "{email:?}");
    }
    let mails = core.mails().await;
    let links = mails.iter().filter(|mail| mail.kind == "password_reset");
    assert_eq!(links.map(|mail| mail.to.as_str()).collect::<Vec<_>>(), [JOE]);
    assert_eq!(
        core.activity().await[before..],
        [
            "password_reset_init refused  nobody has this address",
            "password_reset_init refused ann user is disabled",
            "password_reset_init refused bob user is not enrolled",
            "password_reset_init refused  nobody has this address",
            "password_reset_init refused  nobody has this address",
            "password_reset_init refused  nobody has this address",
            "password_reset_init done joe",
        ]
    );
}

#[tokio::test]
async fn an_address_is_found_however_it_is_written() {
    let (core, _) = Core::with_mailed_member().await;
    core.ask(ask_reset(" Joe@Example.ORG\n")).await.unwrap();
    assert_eq!(core.mails().await[0].to, JOE, "and mailed as it is stored");
}

#[tokio::test]
async fn without_a_mail_server_the_answer_is_the_same_and_nothing_waits() {
    let (core, _) = Core::with_member().await;
    assert_eq!(core.ask(ask_reset(JOE)).await.unwrap(), Payload::Empty(()));
    assert_eq!(core.count("SELECT COUNT(*) FROM mails").await, 0);
    assert_eq!(core.count("SELECT COUNT(*) FROM password_resets").await, 0);
    assert_eq!(core.activity().await.pop().unwrap(), "password_reset_init refused joe no mail server is set");
}

#[tokio::test]
async fn a_thousand_askings_within_an_hour_are_five_mails() {
    let (core, _) = Core::with_mailed_member().await;
    for number in 0..1000 {
        core.wait(i64::from(number % 2));
        let ip = format!("203.0.113.{}", number % 200);
        core.ask_from(&ip, ask_reset(JOE)).await.ok();
    }
    assert_eq!(core.count("SELECT COUNT(*) FROM mails").await, 5);
    let core = core.restart().await.with_mail(MailUse::On).await;
    core.ask(ask_reset(JOE)).await.unwrap();
    assert_eq!(core.count("SELECT COUNT(*) FROM mails").await, 5, "a restart forgets nothing");
    core.wait(3600);
    core.ask(ask_reset(JOE)).await.unwrap();
    assert_eq!(core.count("SELECT COUNT(*) FROM mails").await, 6);
}

#[tokio::test]
async fn of_one_kind_five_thousand_mails_go_in_an_hour_whoever_they_are_for() {
    let (core, _) = Core::with_mailed_member().await;
    core.add_person("ann").await;
    core.ask(ask_reset(JOE)).await.unwrap();
    core.execute(
        "WITH RECURSIVE numbers (n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM numbers WHERE n < 4999)
         INSERT INTO mails (name, kind, person_id, allowance, outcome, next_attempt_at, created_at, expires_at)
         SELECT randomblob(16), kind, people.id, allowance, 'sent', next_attempt_at, mails.created_at, expires_at
         FROM mails, numbers, people WHERE kind = 'password_reset' AND login = 'ann'",
    )
    .await;
    for _ in 0..2 {
        core.ask(ask_reset(JOE)).await.unwrap();
        assert_eq!(core.count("SELECT COUNT(*) FROM mails").await, 5000);
    }
    core.wait(3600);
    core.ask(ask_reset(JOE)).await.unwrap();
    assert_eq!(core.count("SELECT COUNT(*) FROM mails").await, 5001);
}

#[tokio::test]
async fn a_clock_that_was_ahead_keeps_nobody_from_mail() {
    let (core, _) = Core::with_mailed_member().await;
    core.wait(365 * DAY);
    for _ in 0..6 {
        core.ask(ask_reset(JOE)).await.unwrap();
    }
    core.wait(-365 * DAY);
    core.ask(ask_reset(JOE)).await.unwrap();
    assert_eq!(core.count("SELECT COUNT(*) FROM mails").await, 6);
}

#[tokio::test]
async fn one_network_that_asks_too_often_is_told_to_wait_whoever_it_asks_about() {
    let (core, _) = Core::with_mailed_member().await;
    let mut told = Vec::new();
    for number in 0..100 {
        let email = if number % 2 == 0 { JOE.to_owned() } else { format!("nobody{number}@example.org") };
        told.push(core.ask(ask_reset(&email)).await);
    }
    let taken = told.iter().filter(|reply| reply.is_ok()).count();
    assert_eq!(taken, 60);
    let (code, text) = refused(told.pop().unwrap());
    assert_eq!(code, 8);
    assert!(text.starts_with("too many requests; try again in "), "{text}");
    core.ask_from(AWAY, ask_reset(JOE)).await.unwrap();
    core.wait(60);
    core.ask(ask_reset(JOE)).await.unwrap();
}

#[tokio::test]
async fn the_newest_three_links_work() {
    let (core, _) = Core::with_mailed_member().await;
    let mut tokens = Vec::new();
    for _ in 0..4 {
        core.ask(ask_reset(JOE)).await.unwrap();
        tokens.push(core.mailed("password_reset", "token").await);
    }
    assert_eq!(refused(core.ask(start_reset(&tokens[0])).await), (16, "invalid token".to_owned()));
    core.ask(start_reset(&tokens[1])).await.unwrap();
    core.ask(reset(&tokens[1], OTHER)).await.unwrap();
    for token in &tokens[2..] {
        assert_eq!(refused(core.ask(start_reset(token)).await), (16, "invalid token".to_owned()));
    }
}

#[tokio::test]
async fn the_database_holds_no_token() {
    let (core, _) = Core::with_mailed_member().await;
    let token = core.reset_session(JOE).await;
    assert_eq!((token.len(), token.bytes().all(|byte| byte.is_ascii_alphanumeric())), (32, true));
    let hex: String = token.bytes().map(|byte| format!("{byte:02x}")).collect();
    for row in core.contents(&[]).await.into_values().flatten() {
        assert!(!row.contains(&token) && !row.to_lowercase().contains(&hex), "{row}");
    }
    assert!(!core.at_rest().await.windows(token.len()).any(|part| part == token.as_bytes()));
}
