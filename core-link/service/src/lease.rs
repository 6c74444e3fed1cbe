//! Jobs that one Core at a time does, whichever of those on the same database comes first.
//!
//! A lease is a row with its holder, an end by the database's clock, and a fencing number that grows with each new
//! holder. What is done under a lease asks in its own transaction whether the number still holds, so that a Core which
//! was frozen for longer than its lease does nothing when it wakes.

use std::{error::Error, time::Duration};

use tokio::time::{Instant, sleep};

use crate::store::{Store, StoreError};

/// A Core that dies holds up a job for this long.
pub const LEASE_TIME: Duration = Duration::from_secs(15);
/// Two renewals may fail before the lease is over.
const RENEW_INTERVAL: Duration = Duration::from_secs(5);

/// What only one Core does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    /// Deleting what has expired.
    Cleanup,
    /// Ordering a certificate, or renewing it: two orders would answer each other's challenges.
    CertificateOrder,
}

/// The right to do a job, as long as nobody has taken it over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    job: Job,
    fencing: i64,
}

/// This Core was away for so long that another one may have begun, or has done the job. What it did meanwhile stays
/// undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("another Core has taken this over")]
pub struct LeaseLost;

impl Job {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cleanup => "cleanup",
            Self::CertificateOrder => "certificate_order",
        }
    }
}

impl Lease {
    pub(crate) fn new(job: Job, fencing: i64) -> Self {
        Self { job, fencing }
    }

    pub fn job(self) -> Job {
        self.job
    }

    pub fn fencing(self) -> i64 {
        self.fencing
    }
}

/// `None`: another Core is at it.
///
/// # Errors
/// Of the store only.
pub async fn take(store: &Store, job: Job) -> Result<Option<Lease>, StoreError> {
    store.write(move |tx| Box::pin(tx.take_lease(job))).await
}

/// Does the job while the lease is renewed, and then gives it back. Whoever drops this leaves the lease to run out.
///
/// # Errors
/// When the lease was lost; the job is then given up where it stands.
pub async fn keep<T>(store: &Store, lease: Lease, work: impl Future<Output = T>) -> Result<T, LeaseLost> {
    let done = tokio::select! {
        // A Core that was frozen looks first whether it may go on.
        biased;
        () = until_lost(store, lease) => return Err(LeaseLost),
        done = work => done,
    };
    let released = store.write::<_, StoreError, _>(move |tx| Box::pin(tx.release_lease(lease)));
    if let Err(error) = released.await {
        tracing::debug!(error = &error as &dyn Error, "a lease is left to run out");
    }
    Ok(done)
}

/// Taken over by another Core, or not renewed for so long that it may be.
async fn until_lost(store: &Store, lease: Lease) {
    let mut renewed = Instant::now();
    while renewed.elapsed() + RENEW_INTERVAL <= LEASE_TIME {
        sleep(RENEW_INTERVAL).await;
        let now = Instant::now();
        match store.write::<_, StoreError, _>(move |tx| Box::pin(tx.renew_lease(lease))).await {
            Ok(true) => renewed = now,
            Ok(false) => return,
            // Whether it is still held is asked again where it counts, beside the effect.
            Err(error) => tracing::debug!(error = &error as &dyn Error, "cannot renew a lease"),
        }
    }
}
