//! Queries on the attempts that are counted for a person.

use super::Tx;
use crate::{
    clock::{CLOCKS_APART, Timestamp},
    mfa::{DELAY_MAX, Network, Side, Standing, Standings},
    person::PersonId,
    store::{
        StoreError,
        sql::{Connection, Row, sql, sql_for_each},
    },
};

impl Tx {
    pub async fn standings(&mut self, person: PersonId, network: Option<Network>) -> Result<Standings, StoreError> {
        let row = sql("SELECT a.familiar_failures, a.elsewhere_failures, a.elsewhere_retry_at, n.failures, n.retry_at
             FROM people AS p
             LEFT JOIN authenticators AS a ON a.person_id = p.id
             LEFT JOIN familiar_networks AS n ON n.person_id = p.id AND n.network = $2
             WHERE p.id = $1")
        .bind(person.0)
        .bind(network.map(|network| network.to_string()))
        .fetch_one(&mut self.connection)
        .await?;
        standings(&row)
    }

    /// Counters for somebody who has no app, and so none yet.
    pub async fn ensure_counters(&mut self, person: PersonId) -> Result<(), StoreError> {
        sql("INSERT INTO authenticators (person_id) VALUES ($1) ON CONFLICT DO NOTHING")
            .bind(person.0)
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    /// Makes the counter of a network for an attempt that is likely to come. On Postgres a row that is there is changed without
    /// a collision with whoever looks for another one, and a new one is not; on SQLite there is nobody beside.
    pub async fn expect_familiar_attempt(&mut self, person: PersonId, network: Network) -> Result<(), StoreError> {
        match &self.connection {
            Connection::Sqlite(_) => return Ok(()),
            Connection::Postgres(_) => {}
        }
        sql("INSERT INTO familiar_networks (person_id, network, seen_at) VALUES ($1, $2, 0) ON CONFLICT DO NOTHING")
            .bind(person.0)
            .bind(network.to_string())
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    /// Counts an attempt in one network and for all familiar ones together, and says how many there were in a row here
    /// with it. `None`: it may not be tried, here or anywhere familiar.
    pub async fn count_familiar_attempt(
        &mut self,
        person: PersonId,
        network: Network,
        (here_max, together_max): (u32, u32),
    ) -> Result<Option<u32>, StoreError> {
        let now = self.now();
        let failures = sql_for_each(
            "INSERT INTO familiar_networks (person_id, network, seen_at, failures) VALUES ($1, $2, 0, 1)
                 ON CONFLICT (person_id, network) DO UPDATE SET failures = failures + 1
                 WHERE retry_at NOT BETWEEN $3 + 1 AND $4 AND failures < $5;
                 UPDATE authenticators SET familiar_failures = familiar_failures + 1
                 WHERE person_id = $1 AND familiar_failures < $6 AND changes() = 1
                 RETURNING (SELECT failures FROM familiar_networks WHERE person_id = $1 AND network = $2)",
            "WITH here AS (
                     INSERT INTO familiar_networks AS n (person_id, network, seen_at, failures) VALUES ($1, $2, 0, 1)
                     ON CONFLICT (person_id, network) DO UPDATE SET failures = n.failures + 1
                     WHERE n.retry_at NOT BETWEEN $3 + 1 AND $4 AND n.failures < $5 RETURNING failures
                 )
                 UPDATE authenticators SET familiar_failures = familiar_failures + 1 FROM here
                 WHERE person_id = $1 AND familiar_failures < $6 RETURNING here.failures",
        )
        .bind(person.0)
        .bind(network.to_string())
        .bind(now.as_unix())
        .bind(now.after(DELAY_MAX + CLOCKS_APART).as_unix())
        .bind(here_max)
        .bind(together_max)
        .scalar_optional(&mut self.connection)
        .await?;
        Ok(failures)
    }

    /// Counts an attempt from elsewhere, and says how many there were in a row with it. `None`: it may not be tried.
    pub async fn count_attempt_elsewhere(
        &mut self,
        person: PersonId,
        failures_max: u32,
    ) -> Result<Option<u32>, StoreError> {
        let now = self.now();
        let failures = sql("UPDATE authenticators SET elsewhere_failures = elsewhere_failures + 1
             WHERE person_id = $1 AND elsewhere_retry_at NOT BETWEEN $2 + 1 AND $3 AND elsewhere_failures < $4
             RETURNING elsewhere_failures")
        .bind(person.0)
        .bind(now.as_unix())
        .bind(now.after(DELAY_MAX + CLOCKS_APART).as_unix())
        .bind(failures_max)
        .scalar_optional(&mut self.connection)
        .await?;
        Ok(failures)
    }

    pub async fn delay_attempts(&mut self, person: PersonId, side: Side, until: Timestamp) -> Result<(), StoreError> {
        let delay = match side {
            Side::Familiar(network) => {
                sql("UPDATE familiar_networks SET retry_at = $2 WHERE person_id = $1 AND network = $3")
                    .bind(person.0)
                    .bind(until.as_unix())
                    .bind(network.to_string())
            }
            Side::Elsewhere => sql("UPDATE authenticators SET elsewhere_retry_at = $2 WHERE person_id = $1")
                .bind(person.0)
                .bind(until.as_unix()),
        };
        delay.execute(&mut self.connection).await?;
        Ok(())
    }

    /// Forgets the failures on this side; on the familiar one those of all its networks.
    pub async fn forgive_attempts(&mut self, person: PersonId, side: Side) -> Result<(), StoreError> {
        let forgive = match side {
            Side::Familiar(_) => "UPDATE authenticators SET familiar_failures = 0 WHERE person_id = $1",
            Side::Elsewhere => {
                "UPDATE authenticators SET elsewhere_failures = 0, elsewhere_retry_at = 0 WHERE person_id = $1"
            }
        };
        sql(forgive).bind(person.0).execute(&mut self.connection).await?;
        match side {
            Side::Familiar(_) => self.forgive_attempts_in_networks(person).await,
            Side::Elsewhere => Ok(()),
        }
    }

    pub async fn forgive_all_attempts(&mut self, person: PersonId) -> Result<(), StoreError> {
        sql("UPDATE authenticators SET familiar_failures = 0, elsewhere_failures = 0, elsewhere_retry_at = 0
             WHERE person_id = $1")
        .bind(person.0)
        .execute(&mut self.connection)
        .await?;
        self.forgive_attempts_in_networks(person).await
    }

    async fn forgive_attempts_in_networks(&mut self, person: PersonId) -> Result<(), StoreError> {
        sql("UPDATE familiar_networks SET failures = 0, retry_at = 0 WHERE person_id = $1 AND failures > 0")
            .bind(person.0)
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }
}

/// Of a row in which authenticator and network may be missing.
pub(super) fn standings(row: &Row) -> Result<Standings, StoreError> {
    let count = |column| Ok::<_, StoreError>(row.try_get::<Option<u32>>(column)?.unwrap_or_default());
    let time = |column| Ok::<_, StoreError>(Timestamp::from_unix(row.try_get::<Option<i64>>(column)?.unwrap_or(0)));
    Ok(Standings {
        here: Standing { failures: count("failures")?, retry_at: time("retry_at")? },
        familiar_failures: count("familiar_failures")?,
        elsewhere: Standing { failures: count("elsewhere_failures")?, retry_at: time("elsewhere_retry_at")? },
    })
}
