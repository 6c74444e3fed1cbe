//! Commands about Edges.

use std::time::SystemTime;

use postern_core_link::{LinkState, PurgeError};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{Answer, CommandError, Commands};
use crate::{
    activity::Origin,
    control::{EdgeChanged, EdgeCommand, EdgeRemoved, EdgeRow, EdgeState},
    edges::{EdgeRecord, EdgeView, Removed},
};

/// How an Edge of ours marks its announced version; the build metadata of another make is not ours to read.
const OURS: &str = "postern.";

impl Commands {
    pub(super) async fn edge(&self, origin: &Origin, command: EdgeCommand) -> Result<Answer, CommandError> {
        let answer = match command {
            EdgeCommand::Add { address, name } => {
                let EdgeRecord { id, name, address, .. } = self.edges.add(origin, &address, name).await?;
                Answer::EdgeAdded { id, name, address: address.to_string() }
            }
            EdgeCommand::List => Answer::Edges(self.edges.list().await?.into_iter().map(row).collect()),
            EdgeCommand::Disable { edge } => changed(self.edges.set_enabled(origin, &edge, false).await?),
            EdgeCommand::Enable { edge } => changed(self.edges.set_enabled(origin, &edge, true).await?),
            EdgeCommand::Remove { edge } => Answer::EdgeRemoved(removed(self.edges.remove(origin, &edge).await?)),
        };
        Ok(answer)
    }
}

fn row(EdgeView { record, certificate_days_left, status }: EdgeView) -> EdgeRow {
    let mut row = EdgeRow {
        id: record.id,
        name: record.name,
        address: record.address.to_string(),
        enabled: record.enabled,
        state: if record.enabled { EdgeState::Offline } else { EdgeState::Disabled },
        since: None,
        version: "-".to_owned(),
        announced_version: None,
        certificate_days_left,
        last_error: None,
    };
    match status.map(|status| status.state) {
        Some(LinkState::Connected { since, peer_version }) => {
            row.state = EdgeState::Connected;
            row.since = Some(rfc3339(since));
            peer_version.build.strip_prefix(OURS).unwrap_or("-").clone_into(&mut row.version);
            row.announced_version = Some(peer_version.to_string());
        }
        Some(LinkState::Dialing { since, last_error }) => {
            row.state = EdgeState::Dialing;
            row.since = Some(rfc3339(since));
            row.last_error = last_error;
        }
        Some(LinkState::Incompatible { since, reason }) => {
            row.state = EdgeState::Incompatible;
            row.since = Some(rfc3339(since));
            row.last_error = Some(reason);
        }
        None => {}
    }
    row
}

fn changed(EdgeRecord { id, name, enabled, .. }: EdgeRecord) -> Answer {
    Answer::EdgeChanged(EdgeChanged { id, name, enabled })
}

fn removed(Removed { record, left_behind }: Removed) -> EdgeRemoved {
    let note = left_behind.as_ref().map(|error| {
        let doubt = match error {
            PurgeError::NotConnected(_) | PurgeError::Refused { .. } => "It still holds its identity",
            PurgeError::TunnelLost(_) | PurgeError::TimedOut(_) => "It may still hold its identity",
        };
        format!("{doubt} ({error}): run `postern-edge reset` there before it is adopted again.")
    });
    EdgeRemoved { id: record.id, name: record.name, purged: note.is_none(), note }
}

fn rfc3339(at: SystemTime) -> String {
    let at = OffsetDateTime::from(at);
    // Whole seconds: nobody needs more, and columns stay narrow.
    at.replace_nanosecond(0).unwrap_or(at).format(&Rfc3339).unwrap_or_else(|_| "-".to_owned())
}
