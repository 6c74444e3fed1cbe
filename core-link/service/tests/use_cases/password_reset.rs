//! A forgotten password: the mail, its link, the new password, and what ends with the old one.

mod asking;
mod ending;

use postern_core::mail::MailUse;
use postern_proto::proxy::core_response::Payload;

use crate::{
    mfa::support::Member,
    support::{
        Core, DAY, PASSWORD, SESSION, assert_refused,
        mails::{ask_reset, deadline, reset, start_reset},
        start,
    },
};

const JOE: &str = "joe@example.org";
const OTHER: &str = "An0ther!passw-rd";

impl Core {
    /// With joe, enrolled with an app and a device, where mail is on.
    async fn with_mailed_member() -> (Self, Member) {
        let (core, joe) = Self::with_member().await;
        (core.with_mail(MailUse::On).await, joe)
    }

    async fn password_of_joe(&self) -> String {
        let hash: Vec<(String,)> = self.rows("SELECT password_hash FROM people WHERE login = 'joe'").await;
        hash[0].0.clone()
    }
}

#[tokio::test]
async fn a_mailed_link_sets_a_new_password_once() {
    let (core, _) = Core::with_mailed_member().await;
    let old = core.password_of_joe().await;
    let token = core.reset_session(JOE).await;
    assert_eq!(core.ask(reset(&token, OTHER)).await.unwrap(), Payload::Empty(()));
    assert_ne!(core.password_of_joe().await, old);
    let last = core.activity().await.pop().unwrap();
    assert_eq!(last, "password_reset done joe");
    assert_refused(core.ask(start_reset(&token)).await, 16, "invalid token");
    assert_refused(core.ask(reset(&token, PASSWORD)).await, 16, "invalid token");
}

#[tokio::test]
async fn the_same_password_again_is_a_lost_answer_and_another_is_refused() {
    let (core, _) = Core::with_mailed_member().await;
    let token = core.reset_session(JOE).await;
    core.ask(reset(&token, OTHER)).await.unwrap();
    let set = core.password_of_joe().await;
    core.ask(reset(&token, OTHER)).await.unwrap();
    assert_eq!(core.activity().await.pop().unwrap(), "password_reset done joe repeated");
    assert_refused(core.ask(reset(&token, PASSWORD)).await, 16, "invalid token");
    assert_eq!(core.password_of_joe().await, set);
    core.wait(SESSION);
    assert_refused(core.ask(reset(&token, OTHER)).await, 16, "invalid token");
}

#[tokio::test]
async fn a_spent_token_is_good_for_five_guesses_at_the_password() {
    let (core, _) = Core::with_mailed_member().await;
    let token = core.reset_session(JOE).await;
    core.ask(reset(&token, OTHER)).await.unwrap();
    for number in 0..5 {
        assert_refused(core.ask(reset(&token, &format!("{PASSWORD}{number}"))).await, 16, "invalid token");
    }
    assert_refused(core.ask(reset(&token, OTHER)).await, 16, "invalid token");
}

#[tokio::test]
async fn of_two_passwords_at_once_one_is_taken() {
    let (core, _) = Core::with_mailed_member().await;
    let token = core.reset_session(JOE).await;
    let tries: Vec<_> = (0..12).map(|number| core.ask(reset(&token, &format!("{OTHER}{number}")))).collect();
    let replies = futures::future::join_all(tries).await;
    assert_eq!(replies.iter().filter(|reply| reply.is_ok()).count(), 1, "{replies:?}");
    let done = core.activity().await.iter().filter(|line| *line == "password_reset done joe").count();
    assert_eq!(done, 1);
}

#[tokio::test]
async fn a_start_is_repeated_with_the_same_end() {
    let (core, _) = Core::with_mailed_member().await;
    core.ask(ask_reset(JOE)).await.unwrap();
    let token = core.mailed("password_reset", "token").await;
    let ends_at = deadline(core.ask(start_reset(&token)).await);
    assert_eq!(ends_at, core.unix() + SESSION);
    core.wait(SESSION - 1);
    let core = core.restart().await;
    assert_eq!(deadline(core.ask(start_reset(&token)).await), ends_at);
    core.wait(1);
    assert_refused(core.ask(start_reset(&token)).await, 16, "invalid token");
    assert_refused(core.ask(reset(&token, OTHER)).await, 16, "Session expired");
}

#[tokio::test]
async fn a_link_lives_for_a_day() {
    let (core, _) = Core::with_mailed_member().await;
    core.ask(ask_reset(JOE)).await.unwrap();
    let first = core.mailed("password_reset", "token").await;
    core.wait(1);
    core.ask(ask_reset(JOE)).await.unwrap();
    let second = core.mailed("password_reset", "token").await;
    core.wait(DAY - 1);
    assert_refused(core.ask(start_reset(&first)).await, 16, "token expired");
    core.ask(start_reset(&second)).await.unwrap();
}

#[tokio::test]
async fn a_weak_password_leaves_the_link_as_it_was() {
    let (core, _) = Core::with_mailed_member().await;
    let token = core.reset_session(JOE).await;
    let old = core.password_of_joe().await;
    for weak in ["", "weak", "password1", "Joe.Doe.2026", "AcmeVPN2026!", &"x".repeat(300)] {
        assert_refused(core.ask(reset(&token, weak)).await, 3, "password not strong enough");
    }
    assert_eq!(core.password_of_joe().await, old);
    core.ask(reset(&token, OTHER)).await.unwrap();
}

#[tokio::test]
async fn nothing_happens_before_the_session_is_open() {
    let (core, _) = Core::with_mailed_member().await;
    core.ask(ask_reset(JOE)).await.unwrap();
    let token = core.mailed("password_reset", "token").await;
    assert_refused(core.ask(reset(&token, OTHER)).await, 16, "Session expired");
    for unknown in ["", "nope", &"x".repeat(32)] {
        assert_refused(core.ask(start_reset(unknown)).await, 16, "invalid token");
        assert_refused(core.ask(reset(unknown, OTHER)).await, 16, "invalid token");
    }
    let invitation = core.invite("joe").await;
    assert_refused(core.ask(start_reset(&invitation)).await, 16, "invalid token");
    assert_refused(core.ask(start(&token)).await, 16, "invalid token");
}

#[tokio::test]
async fn a_repeated_operation_gets_the_same_answer_and_mails_once() {
    let (core, _) = Core::with_mailed_member().await;
    core.ask_as("one", ask_reset(JOE)).await.unwrap();
    core.ask_as("one", ask_reset(JOE)).await.unwrap();
    assert_eq!(core.kinds_of_mails().await, ["password_reset"]);
    let token = core.mailed("password_reset", "token").await;
    core.ask(start_reset(&token)).await.unwrap();
    core.ask_as("two", reset(&token, OTHER)).await.unwrap();
    core.ask_as("two", reset(&token, OTHER)).await.unwrap();
    assert_eq!(core.kinds_of_mails().await, ["password_changed"]);
}
