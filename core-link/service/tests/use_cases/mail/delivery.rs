//! What is left of a mail when it is delivered, and when it is given up: nothing that could be read.

use std::time::Duration;

use postern_core::mail::Outbox;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::server::{Server, Verdict};
use crate::support::{Core, DAY};

const PATIENCE: Duration = Duration::from_secs(20);
const ENDED: [(&str, &str); 3] = [
    ("sent", "SELECT COUNT(*) FROM mails WHERE outcome = 'sent'"),
    ("failed", "SELECT COUNT(*) FROM mails WHERE outcome = 'failed'"),
    ("expired", "SELECT COUNT(*) FROM mails WHERE outcome = 'expired'"),
];

#[tokio::test]
async fn a_delivered_mail_leaves_no_content() {
    let core = Core::with_joe().await;
    core.mail_invitation().await.unwrap();
    assert_eq!(core.delivered_with(Verdict::TAKEN).await, ("sent".to_owned(), true, 1));
}

#[tokio::test]
async fn a_refused_mail_leaves_no_content_and_a_row_in_the_activity() {
    let core = Core::with_joe().await;
    core.mail_invitation().await.unwrap();
    assert_eq!(core.delivered_with(Verdict::REFUSED).await, ("failed".to_owned(), true, 1));
    let last = core.activity().await.pop().unwrap();
    assert_eq!(last, "mail_given_up refused joe invitation: the mail server refused with 550");
}

#[tokio::test]
async fn an_old_mail_leaves_no_content_and_is_not_sent() {
    let core = Core::with_joe().await;
    core.mail_invitation().await.unwrap();
    core.wait(DAY);
    assert_eq!(core.delivered_with(Verdict::TAKEN).await, ("expired".to_owned(), true, 1));
}

#[tokio::test]
async fn a_mail_from_a_clock_that_was_ahead_is_sent_when_it_is_set_right() {
    let core = Core::with_joe().await;
    core.wait(365 * DAY);
    core.mail_invitation().await.unwrap();
    core.wait(-365 * DAY);
    assert_eq!(core.delivered_with(Verdict::TAKEN).await, ("sent".to_owned(), true, 1));
}

impl Core {
    /// Delivers the one mail to a server that ends every mail so. Says how it ended, whether its content is gone, and
    /// how often it was tried.
    async fn delivered_with(&self, verdict: Verdict) -> (String, bool, i64) {
        let server = Server::start(verdict).await;
        let mut tasks = JoinSet::new();
        tasks.spawn(Outbox::new(self.store.clone(), server.mailer()).run(CancellationToken::new()));
        self.ended_mail().await
    }

    /// How the one mail ended, whether its content is gone, and how often it was tried.
    pub(super) async fn ended_mail(&self) -> (String, bool, i64) {
        let ended = async {
            loop {
                for (outcome, mails) in ENDED {
                    if self.count(mails).await == 1 {
                        return outcome.to_owned();
                    }
                }
                tokio::task::yield_now().await;
            }
        };
        let outcome = tokio::time::timeout(PATIENCE, ended).await.unwrap();
        let wiped = self.count("SELECT COUNT(*) FROM mails WHERE sealed_content IS NULL").await;
        (outcome, wiped == 1, self.count("SELECT attempts FROM mails").await)
    }
}
