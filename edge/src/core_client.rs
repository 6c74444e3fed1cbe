//! What HTTP handlers hold: a request in, its reply or the reason why not out.
//!
//! Each call ends by its deadline with exactly one outcome, and [`CallError::was_sent`] says whether
//! a Core may have seen it. Which HTTP status that becomes is not decided here.

use std::fmt;

use bytes::Bytes;
use postern_proto::{
    limits::OPERATION_ID_MAX,
    proxy::{CoreResponse, DeviceInfo, core_response},
    rejection::Rejection,
    rpc::Rpc,
};
use prost::Message as _;
use tokio::time::{Instant, timeout_at};

use crate::tunnel::{SendError, in_flight::Lane, registry::TunnelRegistry};

/// Names what a person asked for, however often it is retried. Knowing it is close to knowing the
/// reply, so it prints as `***`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct OperationId(String);

/// Not 1 to 64 bytes of `[A-Za-z0-9_-]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an operation id has 1 to {OPERATION_ID_MAX} letters, digits, '-' or '_'")]
pub struct InvalidOperationId;

impl OperationId {
    /// Takes an id as a trusted proxy sent it.
    pub fn parse(text: impl Into<String>) -> Result<Self, InvalidOperationId> {
        let text = text.into();
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if text.is_empty() || text.len() > OPERATION_ID_MAX || !text.bytes().all(allowed) {
            return Err(InvalidOperationId);
        }
        Ok(Self(text))
    }

    /// A new id that nobody can guess: 128 random bits.
    #[must_use]
    pub fn random() -> Self {
        Self(format!("{:032x}", rand::random::<u128>()))
    }

    pub(crate) fn into_inner(self) -> String {
        self.0
    }
}

impl fmt::Debug for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OperationId(***)")
    }
}

/// What goes along with a request.
#[derive(Debug, Clone)]
pub struct CallContext {
    /// Who asks. Core refuses nearly everything without an address.
    pub device_info: DeviceInfo,
    /// Told to a Core that speaks our link.
    pub operation_id: OperationId,
    /// Nobody waits longer.
    pub deadline: Instant,
}

/// Why a call brought no reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Not sent: no Core is connected, or every one is leaving.
    #[error("no tunnel is up")]
    NoTunnel,
    /// Not sent: too many requests are in flight already.
    #[error("too many requests are in flight")]
    Overloaded,
    /// Sent; the tunnel ended before the reply came.
    #[error("the tunnel was lost")]
    TunnelLost,
    /// Sent; no reply came in time.
    #[error("no reply came in time")]
    DeadlineExceeded,
    /// Core said no.
    #[error("refused by core")]
    Rejected(#[source] Rejection),
    /// Sent; what came back is not a reply to it.
    #[error("the reply cannot be understood")]
    BadReply,
}

impl CallError {
    /// A Core may have seen the request, so it may have had its effect.
    #[must_use]
    pub fn was_sent(&self) -> bool {
        match self {
            Self::NoTunnel | Self::Overloaded => false,
            Self::TunnelLost | Self::DeadlineExceeded | Self::Rejected(_) | Self::BadReply => true,
        }
    }
}

/// Asks a Core, whichever is connected.
#[derive(Debug, Clone)]
pub struct CoreClient {
    registry: TunnelRegistry,
}

impl CoreClient {
    #[must_use]
    pub fn new(registry: TunnelRegistry) -> Self {
        Self { registry }
    }

    /// Sends a request over one tunnel and waits for its reply.
    ///
    /// Dropping the future frees the slot; Core's late reply is then ignored.
    pub async fn call<R: Rpc>(&self, request: R, context: CallContext) -> Result<R::Reply, CallError> {
        self.exchange(Lane::Requests, request, context).await
    }

    /// The same for what Core can only answer when a person has done something: it takes no place of a request.
    pub async fn wait<R: Rpc>(&self, request: R, context: CallContext) -> Result<R::Reply, CallError> {
        self.exchange(Lane::Waits, request, context).await
    }

    async fn exchange<R: Rpc>(&self, lane: Lane, request: R, context: CallContext) -> Result<R::Reply, CallError> {
        let deadline = context.deadline;
        let tunnel = self.registry.pick().ok_or(CallError::NoTunnel)?;
        let waiting = tunnel.send(lane, request.into_payload(), context)?;
        match timeout_at(deadline, waiting).await {
            Ok(Ok(reply)) => decode::<R>(reply),
            Ok(Err(_)) => Err(CallError::TunnelLost),
            Err(_) => Err(CallError::DeadlineExceeded),
        }
    }
}

impl From<SendError> for CallError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Ended => Self::NoTunnel,
            SendError::Full => Self::Overloaded,
            SendError::TooLate => Self::DeadlineExceeded,
        }
    }
}

fn decode<R: Rpc>(reply: Bytes) -> Result<R::Reply, CallError> {
    // From a slice: every field is copied into a String anyway, and `Bytes` would count references on the way.
    let reply = CoreResponse::decode(&*reply).map_err(|_| CallError::BadReply)?;
    let payload = reply.payload.ok_or(CallError::BadReply)?;
    if let core_response::Payload::CoreError(error) = payload {
        return Err(CallError::Rejected(error.into()));
    }
    R::from_reply(payload).map_err(|_| CallError::BadReply)
}
