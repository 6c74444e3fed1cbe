//! One Core at a time for each sign-in, by a row, so that a code goes to the provider once although its request is
//! repeated at another Core.
//!
//! The row ends by the database's clock when its Core dies. By then nobody waits for that sign-in any more; whoever
//! sends its code once more learns what the provider makes of a code that it may have seen.

use std::time::Duration;

use tokio::time::sleep;

use crate::store::{Store, StoreError};

/// Longer than a request may take from here to its answer, so that nobody else asks while its Core may still ask.
const CLAIM_TIME: Duration = Duration::from_secs(10);
/// Of whoever waits for another Core.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Of a sign-in. Left to run out by whoever drops it.
#[derive(Debug)]
pub(super) struct Claim {
    sign_in: [u8; 32],
}

impl Claim {
    /// Waits for as long as another Core is at it; the caller has a limit.
    pub(super) async fn take(store: &Store, sign_in: [u8; 32]) -> Result<Self, StoreError> {
        while !store.write::<_, StoreError, _>(move |tx| Box::pin(tx.claim_sign_in(sign_in, CLAIM_TIME))).await? {
            sleep(LOOK_INTERVAL).await;
        }
        Ok(Self { sign_in })
    }

    /// So that the next one need not wait for its end.
    pub(super) async fn give_back(self, store: &Store) {
        let released = store.write::<_, StoreError, _>(move |tx| Box::pin(tx.release_sign_in(self.sign_in)));
        if let Err(error) = released.await {
            tracing::debug!(error = &error as &dyn std::error::Error, "a sign-in's claim is left to run out");
        }
    }
}
