//! Approvals and waits at other Cores, as the waiters of this one learn of them.

use std::{error::Error, sync::Arc};

use tokio_util::sync::CancellationToken;

use super::{Approvals, Wait};
use crate::{
    changes::until_next_look,
    store::{Store, StoreError},
};

/// Looks until told to stop, every second and when woken, at the logins that somebody waits for here.
pub async fn watch(store: Store, approvals: Arc<Approvals>, drain: CancellationToken) {
    let mut woken = store.changes_woken();
    let looking = async {
        loop {
            if let Err(error) = look(&store, &approvals).await {
                // They wait on, and the next look comes soon; the log tells of the store elsewhere.
                tracing::debug!(error = &error as &dyn Error, "cannot look for approvals at other Cores");
            }
            until_next_look(&mut woken).await;
        }
    };
    drain.run_until_cancelled(looking).await;
}

async fn look(store: &Store, approvals: &Approvals) -> Result<(), StoreError> {
    let waits = approvals.waits();
    if waits.is_empty() {
        return Ok(());
    }
    let ended: Vec<Wait> =
        store.read::<_, StoreError, _>(|tx| Box::pin(async move { tx.ended_waits(&waits).await })).await?;
    for wait in &ended {
        approvals.wake_one(wait);
    }
    Ok(())
}
