//! Queries on networks where people are familiar.

use super::Tx;
use crate::{
    mfa::Network,
    person::PersonId,
    store::{
        StoreError,
        sql::{sql, sql_for_each},
    },
};

macro_rules! keep_query {
    () => {
        "INSERT INTO familiar_networks (person_id, network, seen_at) VALUES ($1, $2, $3)
         ON CONFLICT (person_id, network) DO UPDATE SET seen_at = excluded.seen_at, failures = 0, retry_at = 0"
    };
}

/// All of a person's but the newest, of which this one is the first.
macro_rules! forget_query {
    () => {
        "DELETE FROM familiar_networks WHERE person_id = $1 AND network <> $2 AND network NOT IN
         (SELECT network FROM familiar_networks WHERE person_id = $1 AND network <> $2
          ORDER BY seen_at DESC, rowid DESC LIMIT $4 - 1)"
    };
}

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
        sql_for_each(
            concat!(keep_query!(), "; ", forget_query!()),
            concat!("WITH kept AS (", keep_query!(), ") ", forget_query!()),
        )
        .bind(person.0)
        .bind(network.to_string())
        .bind(now.as_unix())
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
