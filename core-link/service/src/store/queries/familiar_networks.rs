//! Queries on networks where people are familiar.

use super::Tx;
use crate::{
    mfa::Network,
    person::PersonId,
    store::{StoreError, sql::sql},
};

impl Tx {
    /// Keeps a network as seen now, and of all of this person's only the newest few. Failures there from before, when it
    /// was not familiar for a while, are forgotten: whoever passed must not be locked where they passed.
    pub async fn keep_familiar_network(
        &mut self,
        person: PersonId,
        network: Network,
        kept: u32,
    ) -> Result<(), StoreError> {
        let now = self.now();
        sql("INSERT INTO familiar_networks (person_id, network, seen_at) VALUES ($1, $2, $3)
             ON CONFLICT (person_id, network) DO UPDATE SET seen_at = excluded.seen_at, failures = 0, retry_at = 0")
        .bind(person.0)
        .bind(network.to_string())
        .bind(now.as_unix())
        .execute(&mut self.connection)
        .await?;
        sql("DELETE FROM familiar_networks WHERE person_id = $1 AND network NOT IN
             (SELECT network FROM familiar_networks WHERE person_id = $1 ORDER BY seen_at DESC, rowid DESC LIMIT $2)")
        .bind(person.0)
        .bind(kept)
        .execute(&mut self.connection)
        .await?;
        Ok(())
    }

    pub async fn forget_familiar_networks(&mut self, person: PersonId) -> Result<(), StoreError> {
        let delete = sql("DELETE FROM familiar_networks WHERE person_id = $1").bind(person.0);
        delete.execute(&mut self.connection).await?;
        Ok(())
    }
}
