//! Edges: adopting them, keeping the supervisor's set equal to the store, and showing how they are.
//!
//! An Edge's row is saved before its identity is sent, so that no crash and no lost answer can leave an Edge with
//! an identity that nobody knows. Changes happen one after the other.

mod adopting;
mod error;
mod reach;
mod removing;

use std::{sync::Arc, time::SystemTime};

use postern_core_link::{Edge, EdgeAddress, EdgeId, EdgeTrust, LinkStatus};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use time::OffsetDateTime;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{
    activity::{Entry, Origin},
    authority::{self, Authority, KeptIdentity},
    changes::Topic,
    store::Store,
};
pub use error::EdgeError;
pub use reach::Reach;
pub use removing::Removed;

/// What is kept of an Edge.
#[derive(Debug)]
pub struct EdgeRecord {
    pub id: i64,
    pub name: String,
    pub address: EdgeAddress,
    pub enabled: bool,
    pub stage: Stage,
    pub certificate: CertificateDer<'static>,
    /// With which Core dials it.
    pub client: KeptIdentity,
}

/// How far adoption has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Its identity was sent, or was about to be; whether it arrived shows when a tunnel opens.
    Adopting,
    Adopted,
}

/// An Edge that is about to get its identity.
#[derive(Debug, Clone)]
pub struct NewEdge {
    pub name: String,
    pub address: EdgeAddress,
    pub certificate: CertificateDer<'static>,
    pub client: KeptIdentity,
}

/// An Edge, and how the link to it is doing; no status while nobody dials it.
#[derive(Debug)]
pub struct EdgeView {
    pub record: EdgeRecord,
    pub certificate_days_left: i64,
    pub status: Option<LinkStatus>,
}

/// Everything that is done with Edges.
#[derive(Debug)]
pub struct Edges {
    store: Store,
    authority: Arc<Authority>,
    reach: Reach,
    /// One change at a time: a link must not be restarted from what another change has just replaced.
    changes: Semaphore,
}

impl Edges {
    pub fn new(store: Store, authority: Arc<Authority>, reach: Reach) -> Self {
        Self { store, authority, reach, changes: Semaphore::new(1) }
    }

    /// All Edges, oldest first.
    ///
    /// # Errors
    /// Of the store only.
    pub async fn list(&self) -> Result<Vec<EdgeView>, EdgeError> {
        let records = self.records().await?;
        let mut statuses = self.reach.statuses();
        let views = records.into_iter().map(|record| {
            let position = statuses.iter().position(|status| status.edge == EdgeId(record.id));
            let status = position.map(|position| statuses.swap_remove(position));
            EdgeView { certificate_days_left: days_left(&record.certificate), record, status }
        });
        Ok(views.collect())
    }

    /// Takes an Edge into use, or out of it; it keeps its identity.
    ///
    /// # Errors
    /// When there is no such Edge.
    pub async fn set_enabled(&self, origin: &Origin, edge: &str, enabled: bool) -> Result<EdgeRecord, EdgeError> {
        let _change = self.begin_change().await;
        let mut record = self.find(edge).await?;
        if record.enabled != enabled {
            let event = if enabled { "edge_enabled" } else { "edge_disabled" };
            let (id, entry) = (record.id, Entry::done(event, origin, &record.name));
            self.store
                .write::<_, EdgeError, _>(move |tx| {
                    Box::pin(async move {
                        tx.set_edge_enabled(id, enabled).await?;
                        tx.announce(Topic::Edges).await?;
                        Ok(tx.record(&entry).await?)
                    })
                })
                .await?;
            record.enabled = enabled;
            tracing::info!(edge = id, name = record.name, enabled, "edge taken into use or out of it");
        }
        self.apply().await?;
        Ok(record)
    }

    /// Makes the supervisor keep a link to exactly those Edges that are enabled.
    ///
    /// # Errors
    /// Of the store only.
    pub async fn start_links(&self) -> Result<(), EdgeError> {
        let _change = self.begin_change().await;
        self.apply().await
    }

    /// Follows what another Core has changed. An Edge that is being adopted there takes no tunnel yet, and would be
    /// dialled in vain and then late; one that this Core dials already stays.
    ///
    /// # Errors
    /// Of the store only.
    pub async fn refresh(&self) -> Result<(), EdgeError> {
        let _change = self.begin_change().await;
        let dialled: Vec<EdgeId> = self.reach.statuses().into_iter().map(|status| status.edge).collect();
        let records = self.records().await?;
        let wanted = records.iter().filter(|record| {
            record.enabled && (record.stage == Stage::Adopted || dialled.contains(&EdgeId(record.id)))
        });
        self.reach.set_edges(wanted.map(|record| self.link_to(record)));
        Ok(())
    }

    /// The named Edge, or the oldest one that is connected, to order a certificate through. While nobody dials, the
    /// oldest that is enabled. `None`: there is none.
    ///
    /// # Errors
    /// When no Edge has this name.
    pub async fn to_order_through(&self, edge: Option<&str>) -> Result<Option<Edge>, EdgeError> {
        if let Some(edge) = edge {
            return Ok(Some(self.link_to(&self.find(edge).await?)));
        }
        Ok(self.usable().await?.first().map(|record| self.link_to(record)))
    }

    /// The Edge through which the certificate is renewed at this try: each time the next one, so that one that cannot
    /// order does not stand in the way of the others.
    ///
    /// # Errors
    /// Of the store only.
    pub async fn to_renew_through(&self, attempt: usize) -> Result<Option<Edge>, EdgeError> {
        let usable = self.usable().await?;
        Ok(usable.get(attempt % usable.len().max(1)).map(|record| self.link_to(record)))
    }

    async fn usable(&self) -> Result<Vec<EdgeRecord>, EdgeError> {
        let mut records = self.records().await?;
        records.retain(|record| match self.reach {
            Reach::Running(_) => self.reach.is_connected(EdgeId(record.id)),
            Reach::Offline => record.enabled,
        });
        Ok(records)
    }

    async fn begin_change(&self) -> SemaphorePermit<'_> {
        self.changes.acquire().await.expect("the semaphore is never closed")
    }

    async fn apply(&self) -> Result<(), EdgeError> {
        let records = self.records().await?;
        self.reach.set_edges(records.iter().filter(|record| record.enabled).map(|record| self.link_to(record)));
        Ok(())
    }

    async fn records(&self) -> Result<Vec<EdgeRecord>, EdgeError> {
        self.store.read(|tx| Box::pin(async move { Ok(tx.edges().await?) })).await
    }

    /// By name or id. No name consists of digits only.
    async fn find(&self, edge: &str) -> Result<EdgeRecord, EdgeError> {
        let records = self.records().await?;
        let found = records.into_iter().find(|record| record.name == edge || record.id.to_string() == edge);
        found.ok_or_else(|| EdgeError::NoSuchEdge(edge.to_owned()))
    }

    fn link_to(&self, record: &EdgeRecord) -> Edge {
        Edge {
            id: EdgeId(record.id),
            address: record.address.clone(),
            trust: EdgeTrust {
                ca_cert: self.authority.certificate().clone(),
                edge_cert: record.certificate.clone(),
                client_cert: record.client.certificate.clone(),
                client_key: PrivatePkcs8KeyDer::from(record.client.key.to_vec()).into(),
            },
        }
    }
}

fn days_left(certificate: &CertificateDer<'_>) -> i64 {
    let now = OffsetDateTime::from(SystemTime::now());
    authority::not_after(certificate).map_or(0, |end| (end - now).whole_days())
}
