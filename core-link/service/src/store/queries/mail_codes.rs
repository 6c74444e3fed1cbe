//! Queries on codes by e-mail.

use super::Tx;
use crate::{
    clock::Timestamp,
    enrollment::EnrollmentTokenId,
    mfa::{login::LoginSessionId, mail_code::PendingCode, setup::SetupState},
    person::PersonId,
    store::{StoreError, sql::sql},
    token::TokenDigest,
};

impl Tx {
    pub(crate) async fn has_mail_factor(&mut self, person: PersonId) -> Result<bool, StoreError> {
        let found = sql("SELECT 1 FROM mail_factors WHERE person_id = $1 AND confirmed_at IS NOT NULL")
            .bind(person.0)
            .fetch_optional(&mut self.connection)
            .await?;
        Ok(found.is_some())
    }

    pub(crate) async fn mail_setup_state(&mut self, person: PersonId) -> Result<Option<SetupState>, StoreError> {
        let row = sql("SELECT f.confirmed_at IS NOT NULL AS has_factor, f.pending_in,
                    CASE WHEN p.enrolled_at >= f.confirmed_at THEN NULL ELSE f.confirmed_in END AS confirmed_in
             FROM mail_factors AS f JOIN people AS p ON p.id = f.person_id WHERE f.person_id = $1")
        .bind(person.0)
        .fetch_optional(&mut self.connection)
        .await?;
        row.map(|row| {
            Ok(SetupState {
                has_factor: row.try_get("has_factor")?,
                confirmed_in: row.try_get::<Option<i64>>("confirmed_in")?.map(EnrollmentTokenId),
                pending_in: row.try_get::<Option<i64>>("pending_in")?.map(EnrollmentTokenId),
            })
        })
        .transpose()
    }

    /// Begins a set-up in place of any older one.
    pub(crate) async fn begin_mail_setup(
        &mut self,
        person: PersonId,
        session: EnrollmentTokenId,
        code: &PendingCode,
    ) -> Result<(), StoreError> {
        sql("INSERT INTO mail_factors (person_id, pending_in, pending_digest, pending_expires_at)
             VALUES ($1, $2, $3, $4)
             ON CONFLICT (person_id) DO UPDATE SET pending_in = excluded.pending_in,
                pending_digest = excluded.pending_digest, pending_expires_at = excluded.pending_expires_at")
        .bind(person.0)
        .bind(session.0)
        .bind(code.digest.as_slice())
        .bind(code.expires_at.as_unix())
        .execute(&mut self.connection)
        .await?;
        Ok(())
    }

    pub(crate) async fn pending_mail_code(&mut self, person: PersonId) -> Result<Option<PendingCode>, StoreError> {
        let row = sql("SELECT pending_digest, pending_expires_at FROM mail_factors
             WHERE person_id = $1 AND pending_digest IS NOT NULL")
        .bind(person.0)
        .fetch_optional(&mut self.connection)
        .await?;
        row.map(|row| {
            let digest: Vec<u8> = row.try_get("pending_digest")?;
            Ok(PendingCode {
                digest: digest.try_into().map_err(|_| StoreError::Damaged { table: "mail_factors" })?,
                expires_at: Timestamp::from_unix(row.try_get("pending_expires_at")?),
            })
        })
        .transpose()
    }

    /// Makes codes by e-mail the person's factor, and spends the code.
    pub(crate) async fn confirm_mail_setup(
        &mut self,
        person: PersonId,
        session: EnrollmentTokenId,
    ) -> Result<(), StoreError> {
        let now = self.now();
        sql("UPDATE mail_factors SET confirmed_at = $2, confirmed_in = $3, pending_in = NULL, pending_digest = NULL,
                    pending_expires_at = NULL
             WHERE person_id = $1")
        .bind(person.0)
        .bind(now.as_unix())
        .bind(session.0)
        .execute(&mut self.connection)
        .await?;
        Ok(())
    }

    pub(crate) async fn delete_mail_factor(&mut self, person: PersonId) -> Result<(), StoreError> {
        let delete = sql("DELETE FROM mail_factors WHERE person_id = $1").bind(person.0);
        delete.execute(&mut self.connection).await?;
        Ok(())
    }

    /// The code of a login, for as long as the login is open.
    pub(crate) async fn keep_mail_code(&mut self, login: &TokenDigest, digest: &[u8; 32]) -> Result<(), StoreError> {
        sql("INSERT INTO mail_codes (login_id, digest) SELECT id, $2 FROM mfa_sessions WHERE digest = $1")
            .bind(login.as_bytes())
            .bind(digest.as_slice())
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    pub(crate) async fn mail_code(&mut self, login: LoginSessionId) -> Result<Option<Vec<u8>>, StoreError> {
        let digest = sql("SELECT digest FROM mail_codes WHERE login_id = $1").bind(login.0);
        digest.scalar_optional(&mut self.connection).await
    }
}
