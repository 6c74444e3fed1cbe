//! Queries on leases.

use super::Tx;
use crate::{
    clock::Timestamp,
    lease::{Job, LEASE_TIME, Lease},
    store::{
        StoreError,
        sql::{Connection, sql},
    },
};

impl Tx {
    /// Takes a lease that nobody holds, or keeps the one that this Core holds for longer. `None`: another Core has it.
    /// No lease was ever given for longer than [`LEASE_TIME`]: a later end comes from a clock that was ahead.
    pub async fn take_lease(&mut self, job: Job) -> Result<Option<Lease>, StoreError> {
        let now = self.database_now().await?;
        let fencing: Option<i64> = sql("INSERT INTO leases (job, holder, fencing, expires_at) VALUES ($1, $2, 1, $4)
             ON CONFLICT (job) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at,
                fencing = leases.fencing + CASE WHEN leases.holder = excluded.holder
                    AND leases.expires_at BETWEEN $3 + 1 AND excluded.expires_at THEN 0 ELSE 1 END
             WHERE leases.holder = excluded.holder OR leases.expires_at NOT BETWEEN $3 + 1 AND excluded.expires_at
             RETURNING fencing")
        .bind(job.as_str())
        .bind(self.part.core.as_str())
        .bind(now.as_unix())
        .bind(now.after(LEASE_TIME).as_unix())
        .scalar_optional(&mut self.connection)
        .await?;
        Ok(fencing.map(|fencing| Lease::new(job, fencing)))
    }

    /// False: it ran out and another Core took it, or this one anew.
    pub async fn renew_lease(&mut self, lease: Lease) -> Result<bool, StoreError> {
        let until = self.database_now().await?.after(LEASE_TIME);
        let renewed = sql("UPDATE leases SET expires_at = $3 WHERE job = $1 AND fencing = $2")
            .bind(lease.job().as_str())
            .bind(lease.fencing())
            .bind(until.as_unix())
            .execute(&mut self.connection)
            .await?;
        Ok(renewed > 0)
    }

    /// So that the next Core need not wait for its end.
    pub async fn release_lease(&mut self, lease: Lease) -> Result<(), StoreError> {
        sql("UPDATE leases SET expires_at = 0 WHERE job = $1 AND fencing = $2")
            .bind(lease.job().as_str())
            .bind(lease.fencing())
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    /// Whether what is done under this lease may stay: nobody has taken the job over. To be asked in the transaction
    /// of the effect.
    pub async fn holds_lease(&mut self, lease: Lease) -> Result<bool, StoreError> {
        let fencing: Option<i64> = sql("SELECT fencing FROM leases WHERE job = $1")
            .bind(lease.job().as_str())
            .scalar_optional(&mut self.connection)
            .await?;
        Ok(fencing == Some(lease.fencing()))
    }

    /// What all Cores on this database take for the time. SQLite has no clock but that of its one machine; and whoever
    /// passed a clock in means this one as well.
    pub(in crate::store) async fn database_now(&mut self) -> Result<Timestamp, StoreError> {
        match &self.connection {
            Connection::Postgres(_) if self.part.clock.is_of_this_machine() => {
                let now = sql("SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS BIGINT)");
                Ok(Timestamp::from_unix(now.scalar_one(&mut self.connection).await?))
            }
            Connection::Postgres(_) | Connection::Sqlite(_) => Ok(self.now()),
        }
    }
}
