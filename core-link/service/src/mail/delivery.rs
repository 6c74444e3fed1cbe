//! Takes mails out of the outbox and hands them to the mail server, until they are sent, refused or too old.
//!
//! A mail is claimed before it is sent, by pushing its next attempt forward in a transaction, so that no two Cores send
//! it at the same moment. A Core that was frozen for longer than its claim notes nothing about it when it wakes. The mail
//! server may be away for as long as it likes: no request waits for it.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt as _, stream};
use rand::Rng as _;
use tokio::{sync::Notify, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{Claim, DueMail, Mailer, Outcome, SendError, smtp::CONVERSATION_MAX};
use crate::{
    activity::{Entry, Origin},
    store::{Store, StoreError, Tx},
};

/// Taken out and sent at a time; mail servers dislike more conversations with one client.
const CLAIMED_MAX: u32 = 8;
/// Longer than an attempt takes, so nobody claims again what is still being sent.
const CLAIM: Duration = CONVERSATION_MAX.saturating_mul(2);
const RETRY_MIN: Duration = Duration::from_secs(10);
pub(crate) const RETRY_MAX: Duration = Duration::from_hours(1);
/// New mails wake the task, so this is for what waits for its next attempt.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// The task that delivers.
#[derive(Debug)]
pub struct Outbox {
    store: Store,
    mailer: Arc<Mailer>,
    posted: Arc<Notify>,
}

impl Outbox {
    pub fn new(store: Store, mailer: Arc<Mailer>) -> Self {
        let posted = store.mail_posted();
        Self { store, mailer, posted }
    }

    /// Delivers until told to stop; what is being sent then is sent to the end.
    pub async fn run(self, drain: CancellationToken) {
        loop {
            match self.turn(&drain).await {
                Ok(0) => {}
                Ok(_) => continue,
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "cannot read or write the outbox");
                }
            }
            tokio::select! {
                biased;
                () = drain.cancelled() => return,
                // Told or not: after a while it is looked.
                _ = timeout(LOOK_INTERVAL, self.posted.notified()) => {}
            }
        }
    }

    /// Says how many mails were tried.
    async fn turn(&self, drain: &CancellationToken) -> Result<usize, StoreError> {
        if drain.is_cancelled() {
            return Ok(0);
        }
        let due: Vec<DueMail> = self
            .store
            .write::<_, StoreError, _>(|tx| Box::pin(async move { tx.claim_due_mails(CLAIM, CLAIMED_MAX).await }))
            .await?;
        let tried = due.len();
        stream::iter(due).for_each_concurrent(None, |mail| self.deliver(mail)).await;
        Ok(tried)
    }

    async fn deliver(&self, mail: DueMail) {
        if !self.holds(mail.claim).await {
            return;
        }
        if mail.expires_at <= self.store.now() {
            return self.end(mail, Outcome::Expired, "it was too old to be sent").await;
        }
        match self.mailer.send(&mail.content, &mail.name).await {
            Ok(()) => self.end(mail, Outcome::Sent, "").await,
            Err(error) if error.is_final() => {
                let (kind, user, reason) = (mail.kind.as_str(), mail.login.as_str(), error.reason());
                tracing::warn!(kind, user, reason, "a mail was refused for good");
                self.end(mail, Outcome::Failed, &reason).await;
            }
            Err(error) => self.try_later(mail, &error).await,
        }
    }

    /// A Core may have been frozen since it claimed.
    async fn holds(&self, claim: Claim) -> bool {
        let held = self.store.read::<_, StoreError, _>(move |tx| Box::pin(tx.holds_mail(claim)));
        held.await.unwrap_or_else(|error| {
            tracing::warn!(error = &error as &dyn std::error::Error, "cannot read the outbox");
            false
        })
    }

    async fn end(&self, mail: DueMail, outcome: Outcome, reason: &str) {
        let (kind, claim) = (mail.kind.as_str(), mail.claim);
        metrics::counter!("postern_core_mails_total", "kind" => kind, "outcome" => outcome.as_str()).increment(1);
        let entry = match outcome {
            Outcome::Sent => None,
            Outcome::Failed | Outcome::Expired => {
                let entry = Entry::refused("mail_given_up", &Origin::core(), mail.login);
                Some(entry.with_detail(format!("{kind}: {reason}")))
            }
        };
        self.note(move |tx| {
            Box::pin(async move {
                if tx.end_mail(claim, outcome).await?
                    && let Some(entry) = &entry
                {
                    tx.record(entry).await?;
                }
                Ok(())
            })
        })
        .await;
    }

    async fn try_later(&self, mail: DueMail, error: &SendError) {
        let kind = mail.kind.as_str();
        let (reason, attempts) = (error.reason(), mail.claim.attempts);
        metrics::counter!("postern_core_mails_total", "kind" => kind, "outcome" => "retried").increment(1);
        // The first failure and each tenth: a server that is away for a day must not fill the log.
        if attempts % 10 == 1 {
            tracing::warn!(kind, attempts, reason, "cannot hand a mail over; it is tried again");
        }
        let (claim, next) = (mail.claim, self.store.now().after(delay_after(attempts)));
        self.note(move |tx| Box::pin(async move { tx.delay_mail(claim, next).await })).await;
    }

    /// When this fails, the claim runs out and the mail is sent again.
    async fn note<F>(&self, change: F)
    where
        F: for<'a> FnOnce(&'a mut Tx) -> futures::future::BoxFuture<'a, Result<(), StoreError>>
            + Clone
            + Send
            + 'static,
    {
        if let Err(error) = self.store.write::<_, StoreError, _>(change).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "cannot note what became of a mail");
        }
    }
}

/// Three times as long after each attempt, give or take a fifth, so that many mails do not come back at once.
fn delay_after(attempts: u32) -> Duration {
    let factor = 3_u32.saturating_pow(attempts.saturating_sub(1));
    let delay = RETRY_MIN.saturating_mul(factor).min(RETRY_MAX);
    delay.mul_f64(rand::rng().random_range(0.8..1.2)).clamp(RETRY_MIN, RETRY_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_from_ten_seconds_to_an_hour() {
        let mut before = Duration::ZERO;
        for attempts in 1..8 {
            let delay = delay_after(attempts);
            assert!((RETRY_MIN..=RETRY_MAX).contains(&delay), "{attempts}: {delay:?}");
            assert!(delay >= before || delay > RETRY_MAX.mul_f64(0.7), "{attempts}: {delay:?}");
            before = delay;
        }
        assert!(delay_after(u32::MAX) >= RETRY_MAX.mul_f64(0.8));
    }
}
