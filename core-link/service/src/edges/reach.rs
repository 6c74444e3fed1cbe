//! Whether anybody dials: a running Core does, a command while none runs does not.

use std::time::Duration;

use postern_core_link::{Edge, EdgeId, LinkState, LinkStatus, PurgeError, Supervisor, WebCertificate};
use tokio::time::{Instant, sleep};

/// How often a link is looked at while somebody waits for its tunnel.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// The way to Edges.
#[derive(Debug, Clone)]
pub enum Reach {
    Running(Supervisor),
    Offline,
}

impl Reach {
    pub(super) fn set_edges(&self, edges: impl Iterator<Item = Edge>) {
        match self {
            Self::Running(supervisor) => supervisor.set_edges(edges.collect()),
            Self::Offline => {}
        }
    }

    pub(crate) fn set_web_certificate(&self, certificate: Option<WebCertificate>) {
        match self {
            Self::Running(supervisor) => supervisor.set_web_certificate(certificate),
            Self::Offline => {}
        }
    }

    pub(super) fn statuses(&self) -> Vec<LinkStatus> {
        match self {
            Self::Running(supervisor) => supervisor.statuses(),
            Self::Offline => Vec::new(),
        }
    }

    pub(super) async fn purge(&self, edge: EdgeId) -> Result<(), PurgeError> {
        match self {
            Self::Running(supervisor) => supervisor.purge(edge).await,
            Self::Offline => Err(PurgeError::NotConnected(edge)),
        }
    }

    pub(super) fn is_connected(&self, edge: EdgeId) -> bool {
        let connected =
            |status: &LinkStatus| status.edge == edge && matches!(status.state, LinkState::Connected { .. });
        self.statuses().iter().any(connected)
    }

    /// True once the Edge has a tunnel; false after `patience`, or at once if nobody dials.
    pub(super) async fn wait_connected(&self, edge: EdgeId, patience: Duration) -> bool {
        if matches!(self, Self::Offline) {
            return false;
        }
        let end = Instant::now() + patience;
        while !self.is_connected(edge) {
            if Instant::now() >= end {
                return false;
            }
            sleep(LOOK_INTERVAL).await;
        }
        true
    }
}
