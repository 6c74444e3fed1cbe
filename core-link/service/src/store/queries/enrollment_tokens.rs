//! Queries on enrollment tokens and their sessions.

use std::time::Duration;

use super::{Tx, hosts, people};
use crate::{
    clock::Timestamp,
    device::DeviceId,
    enrollment::{EnrollmentToken, EnrollmentTokenId, Holder, Invitee},
    person::PersonId,
    store::{StoreError, sql::sql},
    token::TokenDigest,
};

/// An expired token is remembered this long, so that its owner is told that it expired.
const KEPT_AFTER_EXPIRY: Duration = Duration::from_hours(30 * 24);
const SWEPT_MAX: i64 = 500;

impl Tx {
    pub async fn insert_enrollment_token(
        &mut self,
        invitee: Invitee,
        token: &TokenDigest,
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        let now = self.now();
        let (person, host) = match invitee {
            Invitee::Person(person) => (Some(person.0), None),
            Invitee::Host(host) => (None, Some(host.0)),
        };
        sql("INSERT INTO enrollment_tokens (person_id, host_id, digest, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5)")
        .bind(person)
        .bind(host)
        .bind(token.as_bytes())
        .bind(now.as_unix())
        .bind(expires_at.as_unix())
        .execute(&mut self.connection)
        .await?;
        Ok(())
    }

    pub async fn enrollment_token(&mut self, token: &TokenDigest) -> Result<Option<EnrollmentToken>, StoreError> {
        let row = sql("SELECT t.id, t.expires_at, t.session_ends_at, t.activated_at, t.mismatches,
                    p.id AS person_id, p.login, p.email, p.first_name, p.last_name, p.phone, p.is_admin,
                    p.disabled_at, p.enrolled_at,
                    d.id AS host_id, d.name AS host_name, d.public_key IS NOT NULL AS host_is_enrolled
             FROM enrollment_tokens AS t LEFT JOIN people AS p ON p.id = t.person_id
             LEFT JOIN devices AS d ON d.id = t.host_id WHERE t.digest = $1")
        .bind(token.as_bytes())
        .fetch_optional(&mut self.connection)
        .await?;
        row.map(|row| {
            let is_host = row.try_get::<Option<i64>>("host_id")?.is_some();
            Ok(EnrollmentToken {
                id: EnrollmentTokenId(row.try_get("id")?),
                expires_at: Timestamp::from_unix(row.try_get("expires_at")?),
                session_ends_at: row.try_get::<Option<i64>>("session_ends_at")?.map(Timestamp::from_unix),
                has_activated: row.try_get::<Option<i64>>("activated_at")?.is_some(),
                mismatches: row.try_get("mismatches")?,
                holder: if is_host { Holder::Host(hosts::host(&row)?) } else { Holder::Person(people::person(&row)?) },
            })
        })
        .transpose()
    }

    pub async fn open_enrollment_session(
        &mut self,
        id: EnrollmentTokenId,
        ends_at: Timestamp,
    ) -> Result<(), StoreError> {
        sql("UPDATE enrollment_tokens SET session_ends_at = $2 WHERE id = $1")
            .bind(id.0)
            .bind(ends_at.as_unix())
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    pub async fn end_unopened_enrollment_tokens(&mut self, person: PersonId) -> Result<(), StoreError> {
        sql("DELETE FROM enrollment_tokens WHERE person_id = $1 AND session_ends_at IS NULL")
            .bind(person.0)
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    /// Also those whose session is open. Says how many there were.
    pub async fn end_enrollment_tokens(&mut self, person: PersonId) -> Result<u64, StoreError> {
        let now = self.now();
        let ended =
            sql("DELETE FROM enrollment_tokens WHERE person_id = $1 AND COALESCE(session_ends_at, expires_at) > $2")
                .bind(person.0)
                .bind(now.as_unix())
                .execute(&mut self.connection)
                .await?;
        Ok(ended)
    }

    /// Also one whose session is open. Says how many there were.
    pub async fn end_host_tokens(&mut self, host: DeviceId) -> Result<u64, StoreError> {
        let now = self.now();
        let ended =
            sql("DELETE FROM enrollment_tokens WHERE host_id = $1 AND COALESCE(session_ends_at, expires_at) > $2")
                .bind(host.0)
                .bind(now.as_unix())
                .execute(&mut self.connection)
                .await?;
        Ok(ended)
    }

    pub async fn mark_activated(&mut self, id: EnrollmentTokenId) -> Result<(), StoreError> {
        let now = self.now();
        sql("UPDATE enrollment_tokens SET activated_at = $2 WHERE id = $1")
            .bind(id.0)
            .bind(now.as_unix())
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    pub async fn count_mismatch(&mut self, id: EnrollmentTokenId) -> Result<(), StoreError> {
        sql("UPDATE enrollment_tokens SET mismatches = mismatches + 1 WHERE id = $1")
            .bind(id.0)
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    pub(in crate::store) async fn sweep_enrollment_tokens(&mut self) -> Result<(), StoreError> {
        let now = self.now();
        sql("DELETE FROM enrollment_tokens WHERE id IN
             (SELECT id FROM enrollment_tokens WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)")
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
