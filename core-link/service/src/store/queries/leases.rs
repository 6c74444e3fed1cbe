//! Queries on leases.

use std::time::Duration;

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
    pub async fn take_lease(&mut self, job: Job) -> Result<Option<Lease>, StoreError> {
        let fencing = self.take(job.as_str(), LEASE_TIME).await?;
        Ok(fencing.map(|fencing| Lease::new(job, fencing)))
    }

    /// False: another Core is at this sign-in.
    pub(crate) async fn claim_sign_in(&mut self, sign_in: [u8; 32], time: Duration) -> Result<bool, StoreError> {
        Ok(self.take(&name_of(&sign_in), time).await?.is_some())
    }

    pub(crate) async fn release_sign_in(&mut self, sign_in: [u8; 32]) -> Result<(), StoreError> {
        sql("DELETE FROM leases WHERE job = $1 AND holder = $2")
            .bind(name_of(&sign_in))
            .bind(self.part.core.as_str().to_owned())
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    /// Those whose Core died.
    pub(in crate::store) async fn sweep_sign_ins(&mut self) -> Result<(), StoreError> {
        sql("DELETE FROM leases WHERE job >= 'sign_in:' AND job < 'sign_in;' AND expires_at <= $1")
            .bind(self.now().as_unix() - kept_seconds())
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    /// No lease was ever given for longer than this: a later end comes from a clock that was ahead.
    async fn take(&mut self, job: &str, time: Duration) -> Result<Option<i64>, StoreError> {
        let now = self.database_now().await?;
        sql("INSERT INTO leases (job, holder, fencing, expires_at) VALUES ($1, $2, 1, $4)
             ON CONFLICT (job) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at,
                fencing = leases.fencing + CASE WHEN leases.holder = excluded.holder
                    AND leases.expires_at BETWEEN $3 + 1 AND excluded.expires_at THEN 0 ELSE 1 END
             WHERE leases.holder = excluded.holder OR leases.expires_at NOT BETWEEN $3 + 1 AND excluded.expires_at
             RETURNING fencing")
        .bind(job)
        .bind(self.part.core.as_str().to_owned())
        .bind(now.as_unix())
        .bind(now.after(time).as_unix())
        .scalar_optional(&mut self.connection)
        .await
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

/// An ended claim is kept this long, however far the clocks of Cores are apart.
pub(super) fn kept_seconds() -> i64 {
    60
}

/// In the order of its bytes all of them stand together.
fn name_of(sign_in: &[u8; 32]) -> String {
    sign_in.iter().fold("sign_in:".to_owned(), |name, byte| format!("{name}{byte:02x}"))
}
