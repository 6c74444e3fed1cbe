//! Deleting what has expired, by one Core at a time, and only where there is something: a store that nobody uses is not
//! written to.

use super::{Tx, approvals, enrollment_tokens, leases, mails, mfa_sessions, password_resets};
use crate::{
    lease::{Job, LEASE_TIME},
    store::{StoreError, sql::sql},
};

impl Tx {
    /// Whether anything waits to be deleted. The oldest of each kind stands first in an index.
    pub(in crate::store) async fn has_expired(&mut self) -> Result<bool, StoreError> {
        let now = self.now().as_unix();
        sql("SELECT COALESCE((SELECT MIN(expires_at) FROM operations) <= $1, FALSE)
                OR COALESCE((SELECT MIN(expires_at) FROM openid_nonces) <= $1, FALSE)
                OR COALESCE((SELECT MIN(expires_at) FROM enrollment_tokens) <= $1 - $2, FALSE)
                OR COALESCE((SELECT MIN(expires_at) FROM mfa_sessions) <= $1 - $3, FALSE)
                OR COALESCE((SELECT MIN(delivered_at) FROM mfa_sessions) <= $1 - $4, FALSE)
                OR COALESCE((SELECT MIN(created_at) FROM mails WHERE outcome <> 'waiting') <= $1 - $5, FALSE)
                OR COALESCE((SELECT MIN(expires_at) FROM password_resets) <= $1 - $6, FALSE)
                OR COALESCE((SELECT MIN(expires_at) FROM leases WHERE job >= 'sign_in:' AND job < 'sign_in;') <= $1 - $7, FALSE)")
        .bind(now)
        .bind(enrollment_tokens::kept_seconds())
        .bind(mfa_sessions::kept_seconds())
        .bind(approvals::kept_seconds())
        .bind(mails::kept_seconds())
        .bind(password_resets::kept_seconds())
        .bind(leases::kept_seconds())
        .scalar_one(&mut self.connection)
        .await
    }

    /// Deletes some of what has expired, unless another Core is at it.
    pub(in crate::store) async fn sweep(&mut self) -> Result<(), StoreError> {
        if !self.may_sweep().await? {
            return Ok(());
        }
        self.sweep_operations().await?;
        self.sweep_enrollment_tokens().await?;
        self.sweep_logins().await?;
        self.sweep_mails().await?;
        self.sweep_password_resets().await?;
        self.sweep_openid_nonces().await?;
        self.sweep_approvals().await?;
        self.sweep_sign_ins().await
    }

    /// Renews only what is half over, so that a Core with little to delete writes little.
    async fn may_sweep(&mut self) -> Result<bool, StoreError> {
        let now = self.database_now().await?;
        let lasting: Option<i64> =
            sql("SELECT fencing FROM leases WHERE job = $1 AND holder = $2 AND expires_at BETWEEN $3 AND $4")
                .bind(Job::Cleanup.as_str())
                .bind(self.part.core.as_str())
                .bind(now.after(LEASE_TIME / 2).as_unix())
                .bind(now.after(LEASE_TIME).as_unix())
                .scalar_optional(&mut self.connection)
                .await?;
        Ok(lasting.is_some() || self.take_lease(Job::Cleanup).await?.is_some())
    }
}
