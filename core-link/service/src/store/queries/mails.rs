//! Queries on the outbox.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::rand;

use super::Tx;
use crate::{
    clock::{CLOCKS_APART, Timestamp},
    mail::{Claim, Content, DueMail, KIND_MAX, Kind, LIMIT_WINDOW, NewMail, Outcome, PERSON_MAX, RETRY_MAX},
    person::PersonId,
    sealing::Place,
    store::{
        StoreError,
        sql::{Row, sql},
    },
};

/// What became of a mail is remembered this long; limits look back less far.
const KEPT: Duration = Duration::from_hours(7 * 24);
const SWEPT_MAX: i64 = 500;
const DAMAGED: StoreError = StoreError::Damaged { table: "mails" };

impl Tx {
    /// One statement for whoever the mail is for. Due at once, whatever the clocks of other Cores say. False: too many were sent, or there is no such person.
    pub(crate) async fn insert_mail(&mut self, mail: &NewMail<'_>) -> Result<bool, StoreError> {
        let now = self.now();
        let kind = mail.message.kind();
        let mut name = [0; 16];
        rand::fill(&mut name).expect("the system's random numbers are available");
        let content = Content::new(mail.to, mail.message.clone()).to_stored();
        let sealed = self.sealer().seal(place(&name), &content);
        let window = i64::try_from(LIMIT_WINDOW.as_secs()).unwrap_or(i64::MAX);
        let inserted = sql(
            "INSERT INTO mails (name, kind, person_id, allowance, sealed_content, outcome, next_attempt_at, created_at,
                                expires_at)
             SELECT $1, $2, p.id, $4, $5, 'waiting', 0, $6, $7 FROM people AS p WHERE p.id = $3
             AND (SELECT COUNT(*) FROM mails WHERE person_id = $3 AND allowance = $4
                  AND created_at BETWEEN $6 - $8 + 1 AND $6 + $8) < $9
             AND (SELECT COUNT(*) FROM mails WHERE kind = $2 AND created_at BETWEEN $6 - $8 + 1 AND $6 + $8) < $10",
        )
        .bind(name.as_slice())
        .bind(kind.as_str())
        .bind(mail.to.id.0)
        .bind(mail.allowance.as_str())
        .bind(sealed)
        .bind(now.as_unix())
        .bind(mail.expires_at.as_unix())
        .bind(window)
        .bind(i64::from(PERSON_MAX))
        .bind(i64::from(KIND_MAX))
        .execute(&mut self.connection)
        .await?;
        let is_inserted = inserted > 0;
        if is_inserted {
            let posted = Arc::clone(&self.part.mail_posted);
            self.after_commit(move || posted.notify_one());
        }
        Ok(is_inserted)
    }

    /// Takes what is due, so that nobody else does before that time. What is soon worth nothing goes first: a code for a
    /// login does not wait behind a thousand invitations. No mail was ever told to wait longer than [`RETRY_MAX`]: a later
    /// time comes from a clock that was ahead.
    pub(crate) async fn claim_due_mails(&mut self, claim: Duration, limit: u32) -> Result<Vec<DueMail>, StoreError> {
        // Not this Core's own clock: another one, which is ahead of it, must not take the same mail.
        let now = self.database_now().await?;
        let rows = sql("UPDATE mails SET next_attempt_at = $2, attempts = attempts + 1 WHERE id IN
             (SELECT id FROM mails WHERE outcome = 'waiting' AND next_attempt_at NOT BETWEEN $1 + 1 AND $1 + $4
              ORDER BY expires_at, next_attempt_at LIMIT $3)
             RETURNING id, name, kind, attempts, expires_at, sealed_content,
                       (SELECT login FROM people AS p WHERE p.id = person_id) AS login")
        .bind(now.as_unix())
        .bind(now.after(claim).as_unix())
        .bind(limit)
        .bind(i64::try_from((RETRY_MAX + CLOCKS_APART).as_secs()).unwrap_or(i64::MAX))
        .fetch_all(&mut self.connection)
        .await?;
        let mut due = Vec::with_capacity(rows.len());
        for row in &rows {
            match self.due_mail(row) {
                Ok(mail) => due.push(mail),
                Err(error) => {
                    // Nobody will ever read it, and it must not hold up the others.
                    let claim = claim_of(row)?;
                    let id = claim.mail;
                    tracing::error!(id, error = &error as &dyn std::error::Error, "a mail in the outbox is damaged");
                    self.end_mail(claim, Outcome::Failed).await?;
                }
            }
        }
        Ok(due)
    }

    /// Whether this attempt may still be made: nobody has begun another, and the mail was not withdrawn.
    pub(crate) async fn holds_mail(&mut self, claim: Claim) -> Result<bool, StoreError> {
        let attempts: Option<u32> = sql("SELECT attempts FROM mails WHERE id = $1 AND outcome = 'waiting'")
            .bind(claim.mail)
            .scalar_optional(&mut self.connection)
            .await?;
        Ok(attempts == Some(claim.attempts))
    }

    /// Unless somebody else has begun the next attempt.
    pub(crate) async fn delay_mail(&mut self, claim: Claim, until: Timestamp) -> Result<(), StoreError> {
        sql("UPDATE mails SET next_attempt_at = $3 WHERE id = $1 AND attempts = $2 AND outcome = 'waiting'")
            .bind(claim.mail)
            .bind(claim.attempts)
            .bind(until.as_unix())
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    /// Wipes what it held. False: somebody else has begun the next attempt, or it was withdrawn; nothing is changed.
    pub(crate) async fn end_mail(&mut self, claim: Claim, outcome: Outcome) -> Result<bool, StoreError> {
        let ended = sql("UPDATE mails SET outcome = $3, sealed_content = NULL
             WHERE id = $1 AND attempts = $2 AND outcome = 'waiting'")
        .bind(claim.mail)
        .bind(claim.attempts)
        .bind(outcome.as_str())
        .execute(&mut self.connection)
        .await?;
        Ok(ended > 0)
    }

    /// Wipes what was not sent yet.
    pub(crate) async fn withdraw_mails(&mut self, person: PersonId, kind: Kind) -> Result<(), StoreError> {
        sql("UPDATE mails SET outcome = 'withdrawn', sealed_content = NULL
             WHERE person_id = $1 AND kind = $2 AND outcome = 'waiting'")
        .bind(person.0)
        .bind(kind.as_str())
        .execute(&mut self.connection)
        .await?;
        Ok(())
    }

    pub(in crate::store) async fn sweep_mails(&mut self) -> Result<(), StoreError> {
        let now = self.now();
        sql("DELETE FROM mails WHERE id IN (SELECT id FROM mails
             WHERE created_at <= $1 AND outcome <> 'waiting' ORDER BY created_at LIMIT $2)")
        .bind(now.as_unix() - kept_seconds())
        .bind(SWEPT_MAX)
        .execute(&mut self.connection)
        .await?;
        Ok(())
    }

    fn due_mail(&self, row: &Row) -> Result<DueMail, StoreError> {
        let name: Vec<u8> = row.try_get("name")?;
        let sealed: Vec<u8> = row.try_get("sealed_content")?;
        let content = self.sealer().open(place(&name), &sealed)?;
        Ok(DueMail {
            claim: claim_of(row)?,
            kind: Kind::parse(row.try_get("kind")?).ok_or(DAMAGED)?,
            login: row.try_get("login")?,
            expires_at: Timestamp::from_unix(row.try_get("expires_at")?),
            content: Content::from_stored(&content).ok_or(DAMAGED)?,
            name,
        })
    }
}

pub(super) fn kept_seconds() -> i64 {
    i64::try_from(KEPT.as_secs()).unwrap_or(i64::MAX)
}

fn claim_of(row: &Row) -> Result<Claim, StoreError> {
    Ok(Claim { mail: row.try_get("id")?, attempts: row.try_get("attempts")? })
}

fn place(name: &[u8]) -> Place<'_> {
    Place { table: "mails", column: "sealed_content", row: name }
}
