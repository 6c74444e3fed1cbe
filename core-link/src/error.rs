//! What can go wrong on the way to an Edge, each with what to do about it.

use std::{error::Error, fmt, io, time::Duration};

use postern_proto::version::{PEER_MIN, VersionError};
use tonic::Code;

use crate::edge::{EdgeAddress, EdgeId};

/// Why no tunnel to an Edge could be opened.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// Nothing answers there.
    #[error("cannot reach {address}")]
    Connect {
        /// What was dialled.
        address: EdgeAddress,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Something answers, but not in time.
    #[error("{address} did not open a tunnel within {limit:?}")]
    TimedOut {
        /// What was dialled.
        address: EdgeAddress,
        /// How long was waited.
        limit: Duration,
    },
    /// The certificates on our own side cannot be used.
    #[error("the identity stored for {address} cannot be used")]
    OwnIdentity {
        /// The Edge for which it is stored.
        address: EdgeAddress,
        /// What is wrong with it.
        #[source]
        source: rustls::Error,
    },
    /// It has a certificate, but not the one that was pinned when the Edge was adopted.
    #[error("{address} presented another identity than the adopted one: {found}")]
    WrongPeer {
        /// What was dialled.
        address: EdgeAddress,
        /// Subject and serial of what it presented.
        found: String,
    },
    /// No TLS session: its certificate or ours is refused, or it does not speak TLS (any more).
    #[error("no TLS session with {address}")]
    Tls {
        /// What was dialled.
        address: EdgeAddress,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// The connection broke before the tunnel was open.
    #[error("{address} closed the connection")]
    Closed {
        /// What was dialled.
        address: EdgeAddress,
        /// How.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The Edge refused the tunnel.
    #[error("{address} refused the tunnel ({code:?}): {message}")]
    Refused {
        /// What was dialled.
        address: EdgeAddress,
        /// Its reason, for programs.
        code: Code,
        /// Its reason, for people.
        message: String,
    },
    /// The Edge is no Edge, or too old.
    #[error("{address} is not a usable Edge; install version {PEER_MIN} or newer there")]
    Version {
        /// What was dialled.
        address: EdgeAddress,
        /// What it announced.
        #[source]
        source: VersionError,
    },
}

impl DialError {
    /// It lies in the versions of both ends: only an update helps.
    #[must_use]
    pub fn is_incompatible(&self) -> bool {
        match self {
            Self::Version { .. } => true,
            // What Edges of all makes answer to a Core that is too old for them.
            Self::Refused { code, .. } => *code == Code::FailedPrecondition,
            Self::Connect { .. }
            | Self::TimedOut { .. }
            | Self::OwnIdentity { .. }
            | Self::WrongPeer { .. }
            | Self::Tls { .. }
            | Self::Closed { .. } => false,
        }
    }

    /// It may be over in a moment: the Edge is starting, or the network is away.
    /// What is not needs a person, and is retried slowly.
    #[must_use]
    pub fn is_worth_retrying_soon(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::TimedOut { .. } | Self::Closed { .. } => true,
            Self::OwnIdentity { .. } | Self::WrongPeer { .. } | Self::Tls { .. } | Self::Version { .. } => false,
            Self::Refused { code, .. } => matches!(
                code,
                Code::Unavailable | Code::ResourceExhausted | Code::Aborted | Code::Cancelled | Code::DeadlineExceeded
            ),
        }
    }
}

/// Why an Edge could not be told to forget its identity.
#[derive(Debug, thiserror::Error)]
pub enum PurgeError {
    /// There is no tunnel to it now.
    #[error("Edge {0} is not connected")]
    NotConnected(EdgeId),
    /// The tunnel was lost on the way; the Edge may have done it.
    #[error("the tunnel to Edge {0} was lost before it answered")]
    TunnelLost(EdgeId),
    /// It did not answer in time; it may have done it.
    #[error("Edge {0} did not answer in time")]
    TimedOut(EdgeId),
    /// It refused.
    #[error("Edge {edge} refused ({code:?}): {message}")]
    Refused {
        /// The Edge.
        edge: EdgeId,
        /// Its reason, for programs.
        code: Code,
        /// Its reason, for people.
        message: String,
    },
}

/// Shows an error with all its causes on one line.
pub(crate) struct Chain<'a>(pub(crate) &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
