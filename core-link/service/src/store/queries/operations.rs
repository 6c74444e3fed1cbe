//! Queries on the replay memory.

use super::Tx;
use crate::{
    clock::Timestamp,
    store::{
        StoreError,
        sql::{sql, sql_for_each},
    },
};

/// Deleted at once at most: keeps up with 2,000 operations a second and holds the writer for about 10 ms.
const SWEPT_MAX: i64 = 4_000;

macro_rules! claim_query {
    ($place:literal) => {
        concat!(
            "INSERT INTO operations (digest, sealed_reply, expires_at) VALUES ($1, NULL, $2)
             ON CONFLICT (digest) DO UPDATE SET sealed_reply = NULL, expires_at = excluded.expires_at
             WHERE operations.expires_at <= $3 RETURNING ",
            $place
        )
    };
}

impl Tx {
    /// Where its row is, if the operation is this transaction's to run. By its place, and not by the index, the row is
    /// settled without a collision with those that put theirs beside it.
    pub(in crate::store) async fn claim_operation(
        &mut self,
        digest: &[u8; 32],
        expires_at: Timestamp,
    ) -> Result<Option<String>, StoreError> {
        let now = self.now();
        sql_for_each(claim_query!("CAST(rowid AS TEXT)"), claim_query!("CAST(ctid AS TEXT)"))
            .bind(digest.as_slice())
            .bind(expires_at.as_unix())
            .bind(now.as_unix())
            .scalar_optional(&mut self.connection)
            .await
    }

    pub(in crate::store) async fn settle_operation(&mut self, place: &str, sealed: &[u8]) -> Result<(), StoreError> {
        sql_for_each(
            "UPDATE operations SET sealed_reply = $2 WHERE rowid = CAST($1 AS INTEGER)",
            "UPDATE operations SET sealed_reply = $2 WHERE ctid = CAST($1 AS tid)",
        )
        .bind(place)
        .bind(sealed)
        .execute(&mut self.connection)
        .await?;
        Ok(())
    }

    pub(in crate::store) async fn operation_reply(&mut self, digest: &[u8; 32]) -> Result<Option<Vec<u8>>, StoreError> {
        let sealed: Option<Option<Vec<u8>>> = sql("SELECT sealed_reply FROM operations WHERE digest = $1")
            .bind(digest.as_slice())
            .scalar_optional(&mut self.connection)
            .await?;
        Ok(sealed.flatten())
    }

    pub(in crate::store) async fn sweep_operations(&mut self) -> Result<(), StoreError> {
        let now = self.now();
        sql("DELETE FROM operations WHERE digest IN
             (SELECT digest FROM operations WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)")
        .bind(now.as_unix())
        .bind(SWEPT_MAX)
        .execute(&mut self.connection)
        .await?;
        Ok(())
    }
}
