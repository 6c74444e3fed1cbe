//! Queries on recovery codes.

use super::Tx;
use crate::{
    person::PersonId,
    store::{StoreError, sql::sql},
};

impl Tx {
    pub async fn insert_recovery_code(&mut self, person: PersonId, digest: &[u8; 32]) -> Result<(), StoreError> {
        sql("INSERT INTO recovery_codes (person_id, digest) VALUES ($1, $2)")
            .bind(person.0)
            .bind(digest.as_slice())
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    pub async fn has_unspent_recovery_code(&mut self, person: PersonId, digest: &[u8; 32]) -> Result<bool, StoreError> {
        let found = sql("SELECT 1 FROM recovery_codes WHERE person_id = $1 AND digest = $2 AND used_at IS NULL")
            .bind(person.0)
            .bind(digest.as_slice())
            .fetch_optional(&mut self.connection)
            .await?;
        Ok(found.is_some())
    }

    /// False: no such code, or it was used before.
    pub async fn spend_recovery_code(&mut self, person: PersonId, digest: &[u8; 32]) -> Result<bool, StoreError> {
        let now = self.now();
        let spent =
            sql("UPDATE recovery_codes SET used_at = $3 WHERE person_id = $1 AND digest = $2 AND used_at IS NULL")
                .bind(person.0)
                .bind(digest.as_slice())
                .bind(now.as_unix())
                .execute(&mut self.connection)
                .await?;
        Ok(spent == 1)
    }

    pub async fn delete_recovery_codes(&mut self, person: PersonId) -> Result<(), StoreError> {
        let delete = sql("DELETE FROM recovery_codes WHERE person_id = $1").bind(person.0);
        delete.execute(&mut self.connection).await?;
        Ok(())
    }
}
