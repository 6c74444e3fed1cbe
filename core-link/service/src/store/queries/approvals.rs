//! Queries on logins that a phone approves.

use super::{
    Tx,
    authorisations::{authorise, authorise_query, seal_preshared_key},
};
use crate::{
    clock::Timestamp,
    mfa::{
        PresharedKey,
        login::{LoginSession, LoginSessionId, RESULT_KEPT},
    },
    sealing::Place,
    store::{
        StoreError,
        sql::{sql, sql_for_each},
    },
};

const SWEPT_MAX: i64 = 1_000;

impl Tx {
    /// Lets the device of an approved login in, and keeps the result for whoever waits for it.
    pub async fn approve_login(
        &mut self,
        login: &LoginSession,
        key: &PresharedKey,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let now = self.now();
        let result = self.sealer().seal(place(&row_name(login.id)), key.as_bytes());
        let sealed = seal_preshared_key(self.sealer(), login.device, login.location, key);
        authorise!("UPDATE mfa_sessions SET sealed_preshared_key = $7 WHERE id = $1")
            .bind(login.id.0)
            .bind(login.device.0)
            .bind(login.location.0)
            .bind(sealed)
            .bind(now.as_unix())
            .bind(until.as_unix())
            .bind(result)
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    /// The result of an approved login, and again for a while after the first time. `None`: there is none any more.
    pub async fn deliver_approval(&mut self, login: LoginSessionId) -> Result<Option<PresharedKey>, StoreError> {
        let sealed: Option<Vec<u8>> = sql("UPDATE mfa_sessions SET delivered_at = COALESCE(delivered_at, $2)
             WHERE id = $1 AND sealed_preshared_key IS NOT NULL AND COALESCE(delivered_at, $2) > $2 - $3
             RETURNING sealed_preshared_key")
        .bind(login.0)
        .bind(self.now().as_unix())
        .bind(kept_seconds())
        .scalar_optional(&mut self.connection)
        .await?;
        let Some(sealed) = sealed else { return Ok(None) };
        let key = self.sealer().open(place(&row_name(login)), &sealed)?;
        PresharedKey::from_bytes(&key).map(Some).ok_or(StoreError::Damaged { table: "mfa_sessions" })
    }

    pub(in crate::store) async fn sweep_approvals(&mut self) -> Result<(), StoreError> {
        sql("DELETE FROM mfa_sessions WHERE id IN
             (SELECT id FROM mfa_sessions WHERE delivered_at <= $1 ORDER BY delivered_at LIMIT $2)")
        .bind(self.now().as_unix() - kept_seconds())
        .bind(SWEPT_MAX)
        .execute(&mut self.connection)
        .await?;
        Ok(())
    }
}

pub(super) fn kept_seconds() -> i64 {
    i64::try_from(RESULT_KEPT.as_secs()).unwrap_or(i64::MAX)
}

fn row_name(login: LoginSessionId) -> [u8; 8] {
    login.0.to_be_bytes()
}

fn place(row: &[u8]) -> Place<'_> {
    Place { table: "mfa_sessions", column: "sealed_preshared_key", row }
}
