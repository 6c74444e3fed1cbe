//! Queries of devices that poll: for one, and for many in one statement.

use std::collections::HashMap;

use super::{
    Tx,
    devices::{setup, setup_query},
};
use crate::{
    device::DeviceSetup,
    store::{
        StoreError,
        sql::{Row, sql},
    },
    token::TokenDigest,
};

/// As many as one statement has room for.
pub(in crate::store) const POLLS_AT_ONCE: usize = 16;

impl Tx {
    /// The device of each of these polling tokens that has one. A damaged row harms only its own.
    pub async fn polled_device_setups(
        &mut self,
        tokens: &[TokenDigest],
    ) -> Result<HashMap<TokenDigest, Result<DeviceSetup, StoreError>>, StoreError> {
        if let [token] = tokens {
            let setup = self.polled_device_setup(token).await.transpose();
            return Ok(setup.map(|setup| (*token, setup)).into_iter().collect());
        }
        let mut setups = HashMap::with_capacity(tokens.len());
        for some in tokens.chunks(POLLS_AT_ONCE) {
            let rows = self.rows_of_polls(some).await?;
            for rows in rows.chunk_by(|one, next| polled_with(one).ok() == polled_with(next).ok()) {
                let polled_with = polled_with(&rows[0])?;
                if let Some(token) = some.iter().find(|token| token.as_bytes() == polled_with) {
                    setups.extend(setup(rows).transpose().map(|setup| (*token, setup)));
                }
            }
        }
        Ok(setups)
    }

    async fn polled_device_setup(&mut self, token: &TokenDigest) -> Result<Option<DeviceSetup>, StoreError> {
        let query = sql(setup_query!("polling_tokens AS t JOIN devices AS d ON d.id = t.device_id", "t.digest = $1"));
        setup(&query.bind(token.as_bytes()).fetch_all(&mut self.connection).await?)
    }

    /// Those of one token beside each other. There is one statement for any number, so that it is prepared once: what is
    /// left of its room is filled with the same tokens again.
    async fn rows_of_polls(&mut self, tokens: &[TokenDigest]) -> Result<Vec<Row>, StoreError> {
        let mut query = sql(setup_query!(
            "t.digest AS polled_with, ",
            "polling_tokens AS t JOIN devices AS d ON d.id = t.device_id",
            "t.digest IN ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
            "t.digest, "
        ));
        for token in tokens.iter().cycle().take(POLLS_AT_ONCE) {
            query = query.bind(token.as_bytes());
        }
        query.fetch_all(&mut self.connection).await
    }
}

fn polled_with(row: &Row) -> Result<&[u8], StoreError> {
    row.try_get("polled_with")
}
