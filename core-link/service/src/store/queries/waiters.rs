//! Queries on those who wait for the approval of a login, at whichever Core.

use super::Tx;
use crate::{
    mfa::{approval::Wait, login::LoginSessionId},
    store::{StoreError, sql::sql},
};

/// Asked about in one statement, which is prepared once for any number of them.
const ASKED_AT_ONCE: usize = 32;

impl Tx {
    /// The number of a wait that begins now. The highest number waits on.
    pub async fn begin_wait(&mut self, login: LoginSessionId) -> Result<i64, StoreError> {
        sql("UPDATE mfa_sessions SET waiter = waiter + 1 WHERE id = $1 RETURNING waiter")
            .bind(login.0)
            .scalar_one(&mut self.connection)
            .await
    }

    /// `None`: the login is gone.
    pub async fn newest_waiter(&mut self, login: LoginSessionId) -> Result<Option<i64>, StoreError> {
        sql("SELECT waiter FROM mfa_sessions WHERE id = $1").bind(login.0).scalar_optional(&mut self.connection).await
    }

    /// Those of these waits that have nothing more to wait for: the login is approved or gone, or a newer wait began.
    pub async fn ended_waits(&mut self, waits: &[Wait]) -> Result<Vec<Wait>, StoreError> {
        let mut ended = Vec::new();
        for asked in waits.chunks(ASKED_AT_ONCE) {
            let filled = asked.iter().cycle().take(ASKED_AT_ONCE);
            let lasting = filled
                .fold(
                    sql("SELECT digest, waiter FROM mfa_sessions WHERE sealed_preshared_key IS NULL AND digest IN
                         ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
                          $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32)"),
                    |query, wait| query.bind(wait.token.as_bytes()),
                )
                .fetch_all(&mut self.connection)
                .await?;
            let mut numbers = Vec::with_capacity(lasting.len());
            for row in &lasting {
                numbers.push((row.try_get::<&[u8]>("digest")?, row.try_get::<i64>("waiter")?));
            }
            let lasts = |wait: &&Wait| numbers.contains(&(wait.token.as_bytes(), wait.number));
            ended.extend(asked.iter().filter(|wait| !lasts(wait)));
        }
        Ok(ended)
    }
}
