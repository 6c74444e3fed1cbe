//! Queries on identities at the OpenID provider, and on sign-ins there.

use super::{Tx, people::person};
use crate::{
    clock::Timestamp,
    mfa::login::LoginSessionId,
    person::{Person, PersonId},
    store::{StoreError, sql::sql},
};

const SWEPT_MAX: i64 = 4_000;

impl Tx {
    pub async fn person_by_openid(&mut self, issuer: &str, subject: &str) -> Result<Option<Person>, StoreError> {
        let row = sql(
            "SELECT p.id AS person_id, p.login, p.email, p.first_name, p.last_name, p.phone, p.is_admin, p.disabled_at,
                    p.enrolled_at
             FROM openid_identities AS o JOIN people AS p ON p.id = o.person_id
             WHERE o.issuer = $1 AND o.subject = $2",
        )
        .bind(issuer)
        .bind(subject)
        .fetch_optional(&mut self.connection)
        .await?;
        row.as_ref().map(person).transpose()
    }

    /// Whether the person is somebody else at this issuer.
    pub async fn has_other_openid_identity(
        &mut self,
        person: PersonId,
        issuer: &str,
        subject: &str,
    ) -> Result<bool, StoreError> {
        let has: bool = sql(
            "SELECT EXISTS (SELECT 1 FROM openid_identities WHERE person_id = $1 AND issuer = $2 AND subject <> $3)",
        )
        .bind(person.0)
        .bind(issuer)
        .bind(subject)
        .scalar_one(&mut self.connection)
        .await?;
        Ok(has)
    }

    /// False: the person has an identity there already, or it is somebody else's.
    pub async fn insert_openid_identity(
        &mut self,
        person: PersonId,
        issuer: &str,
        subject: &str,
    ) -> Result<bool, StoreError> {
        let now = self.now();
        let inserted =
            sql("INSERT INTO openid_identities (issuer, subject, person_id, linked_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT DO NOTHING")
            .bind(issuer)
            .bind(subject)
            .bind(person.0)
            .bind(now.as_unix())
            .execute(&mut self.connection)
            .await?;
        Ok(inserted == 1)
    }

    pub async fn delete_openid_identities(&mut self, person: PersonId) -> Result<(), StoreError> {
        sql("DELETE FROM openid_identities WHERE person_id = $1").bind(person.0).execute(&mut self.connection).await?;
        Ok(())
    }

    pub async fn is_openid_nonce_used(&mut self, digest: &[u8; 32]) -> Result<bool, StoreError> {
        let is_used: bool = sql("SELECT EXISTS (SELECT 1 FROM openid_nonces WHERE digest = $1)")
            .bind(digest.as_slice())
            .scalar_one(&mut self.connection)
            .await?;
        Ok(is_used)
    }

    /// False: it ended a sign-in before.
    pub async fn use_openid_nonce(&mut self, digest: &[u8; 32], expires_at: Timestamp) -> Result<bool, StoreError> {
        let used = sql("INSERT INTO openid_nonces (digest, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(digest.as_slice())
            .bind(expires_at.as_unix())
            .execute(&mut self.connection)
            .await?;
        Ok(used == 1)
    }

    /// From now on the login's client may end it.
    pub async fn note_openid_passed(&mut self, login: LoginSessionId) -> Result<(), StoreError> {
        let now = self.now();
        sql("UPDATE mfa_sessions SET openid_passed_at = $2 WHERE id = $1")
            .bind(login.0)
            .bind(now.as_unix())
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    pub async fn end_login(&mut self, login: LoginSessionId) -> Result<(), StoreError> {
        sql("DELETE FROM mfa_sessions WHERE id = $1").bind(login.0).execute(&mut self.connection).await?;
        Ok(())
    }

    /// An expired nonce is refused by its own expiry, so its row has no further use.
    pub(in crate::store) async fn sweep_openid_nonces(&mut self) -> Result<(), StoreError> {
        let now = self.now();
        sql("DELETE FROM openid_nonces WHERE digest IN
             (SELECT digest FROM openid_nonces WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)")
        .bind(now.as_unix())
        .bind(SWEPT_MAX)
        .execute(&mut self.connection)
        .await?;
        Ok(())
    }
}
