//! The outbox: who is told what, and what of it rests in the database.

mod cores;
mod delivery;
mod server;

use postern_core::{enrollment, mail::MailUse};

use crate::support::{Core, PASSWORD, activate, cli, started};

#[tokio::test]
async fn a_factor_that_is_set_up_is_told_of() {
    let core = Core::with_joe().await.with_mail(MailUse::On).await;
    let token = core.session("joe").await;
    core.set_up(&token).await;
    let mails = core.mails().await;
    assert_eq!((mails.len(), mails[0].kind.as_str(), mails[0].to.as_str()), (1, "factor_added", "joe@example.org"));
    assert_eq!(mails[0].values["factor"], "authenticator app");
}

#[tokio::test]
async fn without_a_mail_server_nothing_is_written() {
    let core = Core::with_joe().await;
    core.enroll("joe", 1).await;
    assert_eq!(core.count("SELECT COUNT(*) FROM mails").await, 0);
}

#[tokio::test]
async fn clients_are_told_whether_mail_is_on() {
    for (mail, expected) in [(MailUse::Off, false), (MailUse::On, true), (MailUse::OnWithCodes, true)] {
        let core = Core::with_joe().await.with_mail(mail).await;
        let token = core.invite("joe").await;
        let started = started(core.ask(crate::support::start(&token)).await);
        assert_eq!(started.settings.unwrap().smtp_configured, expected);
    }
}

#[tokio::test]
async fn a_mailed_invitation_holds_the_token_and_a_newer_one_takes_it_back() {
    let core = Core::with_joe().await;
    for _ in 0..2 {
        core.mail_invitation().await.unwrap();
    }
    assert_eq!(core.kinds_of_mails().await, ["invitation"], "the older one was not sent and is worth nothing");
    let token = core.mailed("invitation", "token").await;
    core.ask(crate::support::start(&token)).await.unwrap();
    core.ask(activate(&token, PASSWORD)).await.unwrap();
}

#[tokio::test]
async fn a_revoked_invitation_is_not_sent() {
    let core = Core::with_joe().await;
    core.mail_invitation().await.unwrap();
    let revoke = core.store.write(|tx| Box::pin(async move { enrollment::revoke(tx, "joe", &cli()).await }));
    assert_eq!(revoke.await.unwrap(), 1);
    assert_eq!(core.mails().await.len(), 0);
    assert_eq!(core.count("SELECT COUNT(*) FROM mails WHERE sealed_content IS NOT NULL").await, 0);
}

#[tokio::test]
async fn a_sixth_invitation_within_an_hour_is_refused_and_the_fifth_stays() {
    let core = Core::with_joe().await;
    for _ in 0..5 {
        core.mail_invitation().await.unwrap();
    }
    let token = core.mailed("invitation", "token").await;
    let error = core.mail_invitation().await.unwrap_err().to_string();
    assert!(error.starts_with("too many invitations were mailed within an hour, to joe"), "{error}");
    core.ask(crate::support::start(&token)).await.unwrap();
}

#[tokio::test]
async fn what_became_of_a_mail_is_forgotten_after_a_week_and_what_waits_is_not() {
    let core = Core::with_joe().await;
    for _ in 0..2 {
        core.mail_invitation().await.unwrap();
    }
    assert_eq!(core.count("SELECT COUNT(*) FROM mails").await, 2);
    core.wait(7 * 24 * 3600 + 1);
    core.swept("SELECT COUNT(*) FROM mails", 1).await;
    assert_eq!(core.mails().await.len(), 1);
}

impl Core {
    async fn mail_invitation(&self) -> Result<enrollment::Invitation, enrollment::InviteError> {
        let invite =
            self.store.write(|tx| Box::pin(async move { enrollment::invite_by_mail(tx, "joe", &cli()).await }));
        invite.await
    }

    /// Waits until the sweeper has left so many.
    async fn swept(&self, count: &'static str, left: i64) {
        let swept = async {
            while self.count(count).await != left {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(10), swept).await.unwrap();
    }
}
