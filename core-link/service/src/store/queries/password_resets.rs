//! Queries on tokens that reset a password, and their sessions.

use std::time::Duration;

use super::{Tx, people};
use crate::{
    clock::Timestamp,
    password::PasswordHash,
    password_reset::{ResetToken, ResetTokenId},
    person::{Person, PersonId},
    store::{StoreError, sql::sql},
    token::TokenDigest,
};

/// An expired token is remembered this long, so that its owner is told that it expired.
const KEPT_AFTER_EXPIRY: Duration = Duration::from_hours(7 * 24);
const SWEPT_MAX: i64 = 500;

impl Tx {
    pub(crate) async fn person_by_email(&mut self, email: &str) -> Result<Option<Person>, StoreError> {
        let row = sql(
            "SELECT id AS person_id, login, email, first_name, last_name, phone, is_admin, disabled_at, enrolled_at
             FROM people WHERE email = $1",
        )
        .bind(email)
        .fetch_optional(&mut self.connection)
        .await?;
        row.as_ref().map(people::person).transpose()
    }

    /// Keeps a token, and forgets all but the newest few of its person that were not used yet. The same statements when
    /// there is no such person.
    pub(crate) async fn insert_reset_token(
        &mut self,
        person: PersonId,
        token: &TokenDigest,
        (expires_at, kept): (Timestamp, u32),
    ) -> Result<(), StoreError> {
        let now = self.now();
        sql("INSERT INTO password_resets (person_id, digest, created_at, expires_at)
             SELECT p.id, $2, $3, $4 FROM people AS p WHERE p.id = $1;
             DELETE FROM password_resets WHERE person_id = $1 AND session_ends_at IS NULL AND id <=
             (SELECT id FROM password_resets WHERE person_id = $1 AND session_ends_at IS NULL
              ORDER BY id DESC LIMIT 1 OFFSET $5)")
        .bind(person.0)
        .bind(token.as_bytes())
        .bind(now.as_unix())
        .bind(expires_at.as_unix())
        .bind(kept)
        .execute(&mut self.connection)
        .await?;
        Ok(())
    }

    pub(crate) async fn reset_token(&mut self, token: &TokenDigest) -> Result<Option<ResetToken>, StoreError> {
        let row = sql("SELECT t.id, t.expires_at, t.session_ends_at, t.used_at, t.mismatches,
                    p.id AS person_id, p.login, p.email, p.first_name, p.last_name, p.phone, p.is_admin,
                    p.disabled_at, p.enrolled_at
             FROM password_resets AS t JOIN people AS p ON p.id = t.person_id WHERE t.digest = $1")
        .bind(token.as_bytes())
        .fetch_optional(&mut self.connection)
        .await?;
        row.map(|row| {
            Ok(ResetToken {
                id: ResetTokenId(row.try_get("id")?),
                expires_at: Timestamp::from_unix(row.try_get("expires_at")?),
                session_ends_at: row.try_get::<Option<i64>>("session_ends_at")?.map(Timestamp::from_unix),
                is_used: row.try_get::<Option<i64>>("used_at")?.is_some(),
                mismatches: row.try_get("mismatches")?,
                person: people::person(&row)?,
            })
        })
        .transpose()
    }

    pub(crate) async fn open_reset_session(&mut self, id: ResetTokenId, ends_at: Timestamp) -> Result<(), StoreError> {
        sql("UPDATE password_resets SET session_ends_at = $2 WHERE id = $1")
            .bind(id.0)
            .bind(ends_at.as_unix())
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    /// Spends this token, and sets the password that it was for.
    pub(crate) async fn reset_password(
        &mut self,
        id: ResetTokenId,
        person: PersonId,
        password: &PasswordHash,
    ) -> Result<(), StoreError> {
        let now = self.now();
        sql("UPDATE people SET password_hash = $2 WHERE id = $1;
             UPDATE password_resets SET used_at = $4 WHERE id = $3")
        .bind(person.0)
        .bind(password.as_str())
        .bind(id.0)
        .bind(now.as_unix())
        .execute(&mut self.connection)
        .await?;
        Ok(())
    }

    pub(crate) async fn count_reset_mismatch(&mut self, id: ResetTokenId) -> Result<(), StoreError> {
        sql("UPDATE password_resets SET mismatches = mismatches + 1 WHERE id = $1")
            .bind(id.0)
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    pub(crate) async fn end_reset_tokens_but(
        &mut self,
        kept: ResetTokenId,
        person: PersonId,
    ) -> Result<(), StoreError> {
        sql("DELETE FROM password_resets WHERE person_id = $1 AND id <> $2")
            .bind(person.0)
            .bind(kept.0)
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    pub(crate) async fn end_unopened_reset_tokens(&mut self, person: PersonId) -> Result<(), StoreError> {
        sql("DELETE FROM password_resets WHERE person_id = $1 AND session_ends_at IS NULL")
            .bind(person.0)
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    pub(in crate::store) async fn sweep_password_resets(&mut self) -> Result<(), StoreError> {
        let now = self.now();
        sql("DELETE FROM password_resets WHERE id IN
             (SELECT id FROM password_resets WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)")
        .bind(now.as_unix() - kept_seconds())
        .bind(SWEPT_MAX)
        .execute(&mut self.connection)
        .await?;
        Ok(())
    }
}

pub(super) fn kept_seconds() -> i64 {
    i64::try_from(KEPT_AFTER_EXPIRY.as_secs()).unwrap_or(i64::MAX)
}
