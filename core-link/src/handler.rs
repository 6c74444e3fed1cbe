//! What a Core does with the requests of its Edges.
//!
//! A handler answers or refuses; it cannot end the tunnel. A panic in it becomes one Internal reply.

use std::{fmt, future::Future};

use postern_proto::{
    limits::OPERATION_ID_MAX,
    proxy::{DeviceInfo, core_request, core_response},
    rejection::Rejection,
};
use tokio::time::Instant;

use crate::edge::EdgeId;

/// Names one thing a person asked for, however often it is retried.
///
/// Whoever knows it may ask for the stored reply, so it is never printed.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct OperationId(String);

/// A text is no operation id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an operation id has 1 to {OPERATION_ID_MAX} letters, digits, '-' or '_'")]
pub struct BadOperationId;

impl OperationId {
    /// Checks an id that came over the wire.
    ///
    /// # Errors
    /// [`BadOperationId`] unless it has 1 to 64 letters, digits, `-` or `_`.
    pub fn parse(text: String) -> Result<Self, BadOperationId> {
        let fits = (1..=OPERATION_ID_MAX).contains(&text.len());
        let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        if fits && plain { Ok(Self(text)) } else { Err(BadOperationId) }
    }

    /// The id, for the replay memory.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OperationId(***)")
    }
}

/// One request of an Edge.
#[derive(Debug)]
pub struct Request {
    /// The Edge that asks.
    pub edge: EdgeId,
    /// Who asked the Edge; absent when the Edge did not say.
    pub device_info: Option<DeviceInfo>,
    /// Absent with a stock Edge.
    pub operation_id: Option<OperationId>,
    /// Nobody waits for the reply any more after this; the handler's future is then dropped, if it was not before.
    pub deadline: Instant,
    /// What is asked. Never one of the link's own messages (probe, probe reply, draining, cancel).
    pub payload: core_request::Payload,
}

/// The answer, or why not.
pub type Reply = Result<core_response::Payload, Rejection>;

/// Answers requests. Shared by all links; called for many requests at the same time. Polls (`InstanceInfo`) come in crowds, and
/// an Edge counts on it that they hold up nothing else: whatever they share with other requests, those come first.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request.
    ///
    /// The future is dropped when the deadline has passed. It is dropped too when the Edge says that nobody waits for
    /// this reply any more, but only where nobody else can want it: a wait for a person, what only reads, and what has no
    /// operation id. Any other, once begun, goes on to its end, because the Edge says that of one request and never of
    /// its operation: another Edge may be asking for the same, and is to find the outcome in the replay memory. So it
    /// is when the tunnel is lost. What must not stop half-way at the deadline belongs in a transaction, which commits or
    /// rolls back whole however its caller ends, or in a task of the handler's own.
    fn handle(&self, request: Request) -> impl Future<Output = Reply> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_id_is_short_and_plain() {
        for good in ["a", "0123456789abcdef-_", &"x".repeat(64)] {
            assert_eq!(OperationId::parse(good.to_owned()).unwrap().expose(), good);
        }
        for bad in ["", " ", "a b", "a\n", "ä", &"x".repeat(65)] {
            assert_eq!(OperationId::parse(bad.to_owned()), Err(BadOperationId));
        }
    }

    #[test]
    fn an_operation_id_is_never_shown() {
        assert_eq!(format!("{:?}", OperationId::parse("canary".to_owned()).unwrap()), "OperationId(***)");
    }
}
