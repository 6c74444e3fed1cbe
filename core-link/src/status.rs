//! How each link is doing, for people and metrics.

use std::{
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use semver::Version;
use tokio_util::task::TaskTracker;

use crate::edge::EdgeId;

/// How one link is doing.
#[derive(Debug, Clone)]
pub struct LinkStatus {
    /// The Edge at its other end.
    pub edge: EdgeId,
    /// What it is doing.
    pub state: LinkState,
    /// Requests of its tunnel that have no reply yet.
    pub in_flight: usize,
}

/// What a link is doing.
#[derive(Debug, Clone)]
pub enum LinkState {
    /// It has no tunnel and tries to get one.
    Dialing {
        /// When it lost the last one, or was started.
        since: SystemTime,
        /// Why the last try failed, or the tunnel ended; with all its causes.
        last_error: Option<String>,
    },
    /// The Edge cannot be used, or does not take this Core, until a person installs another version there or here.
    /// It is still dialled, now and then.
    Incompatible {
        /// Since when there has been no tunnel.
        since: SystemTime,
        /// Which of both, and what to do; with all causes.
        reason: String,
    },
    /// It has a tunnel.
    Connected {
        /// When the tunnel came up.
        since: SystemTime,
        /// What the Edge announced. Build metadata `postern.<version>` marks one of ours.
        peer_version: Version,
    },
}

/// Written by one link, read by everybody.
#[derive(Debug)]
pub(crate) struct StatusCell(Mutex<Entry>);

#[derive(Debug)]
struct Entry {
    state: LinkState,
    requests: TaskTracker,
}

impl StatusCell {
    pub(crate) fn dialing() -> Self {
        let state = LinkState::Dialing { since: SystemTime::now(), last_error: None };
        Self(Mutex::new(Entry { state, requests: TaskTracker::new() }))
    }

    pub(crate) fn read(&self, edge: EdgeId) -> LinkStatus {
        self.with(|entry| LinkStatus { edge, state: entry.state.clone(), in_flight: entry.requests.len() })
    }

    /// The tunnel came up; its requests are counted by `requests`.
    pub(crate) fn set_connected(&self, peer_version: Version, requests: TaskTracker) {
        let state = LinkState::Connected { since: SystemTime::now(), peer_version };
        self.with(|entry| *entry = Entry { state, requests });
    }

    /// The tunnel ended, or a dial failed. `since` stays that of the first of several.
    pub(crate) fn set_dialing(&self, error: String) {
        self.with(|entry| match &mut entry.state {
            LinkState::Dialing { last_error, .. } => *last_error = Some(error),
            LinkState::Incompatible { since, .. } => {
                entry.state = LinkState::Dialing { since: *since, last_error: Some(error) };
            }
            LinkState::Connected { .. } => {
                entry.state = LinkState::Dialing { since: SystemTime::now(), last_error: Some(error) };
            }
        });
    }

    /// A dial failed for a reason that lies in the versions.
    pub(crate) fn set_incompatible(&self, reason: String) {
        self.with(|entry| {
            let since = match &entry.state {
                LinkState::Dialing { since, .. } | LinkState::Incompatible { since, .. } => *since,
                LinkState::Connected { .. } => SystemTime::now(),
            };
            entry.state = LinkState::Incompatible { since, reason };
        });
    }

    fn with<T>(&self, act: impl FnOnce(&mut Entry) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
