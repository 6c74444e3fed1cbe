//! Taking back an Edge's identity.

use std::time::Duration;

use postern_core_link::{EdgeId, PurgeError};

use super::{EdgeError, EdgeRecord, Edges};
use crate::{
    activity::{Entry, Origin},
    changes::Topic,
};

/// A disabled Edge that is to be removed has this long to take a tunnel.
const DIAL_PATIENCE: Duration = Duration::from_secs(3);

/// An Edge that is no longer known.
#[derive(Debug)]
pub struct Removed {
    pub record: EdgeRecord,
    /// Why the Edge may still hold its identity.
    pub left_behind: Option<PurgeError>,
}

impl Edges {
    /// Tells an Edge to give up its identity and forgets it, even when it cannot be told.
    ///
    /// Its row goes last: after a crash in between, removing it again does the rest.
    ///
    /// # Errors
    /// When there is no such Edge.
    pub async fn remove(&self, origin: &Origin, edge: &str) -> Result<Removed, EdgeError> {
        let _change = self.begin_change().await;
        let record = self.find(edge).await?;
        let id = EdgeId(record.id);
        if !record.enabled {
            self.reach_for(&record).await?;
        }
        let left_behind = self.reach.purge(id).await.err();
        let entry = Entry::done("edge_removed", origin, &record.name);
        let entry = entry.with_detail(left_behind.as_ref().map_or_else(String::new, ToString::to_string));
        self.store
            .write::<_, EdgeError, _>(move |tx| {
                Box::pin(async move {
                    tx.delete_edge(id.0).await?;
                    tx.announce(Topic::Edges).await?;
                    Ok(tx.record(&entry).await?)
                })
            })
            .await?;
        tracing::info!(edge = %id, name = record.name, purged = left_behind.is_none(), "edge removed");
        self.apply().await?;
        Ok(Removed { record, left_behind })
    }

    /// Dials a disabled Edge for a moment.
    async fn reach_for(&self, record: &EdgeRecord) -> Result<(), EdgeError> {
        let records = self.records().await?;
        let wanted = records.iter().filter(|other| other.enabled || other.id == record.id);
        self.reach.set_edges(wanted.map(|record| self.link_to(record)));
        // Whether it came is seen by the purge that follows.
        self.reach.wait_connected(EdgeId(record.id), DIAL_PATIENCE).await;
        Ok(())
    }
}
