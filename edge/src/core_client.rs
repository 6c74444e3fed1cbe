//! What HTTP handlers hold: a request in, its reply or the reason why not out.
//!
//! Each call ends by its deadline with exactly one outcome, and [`CallError::was_sent`] says whether
//! a Core may have seen it. Which HTTP status that becomes is not decided here.

mod answer;
mod asking;
#[cfg(test)]
mod tests;

use std::{fmt, time::Duration};

use postern_proto::{
    limits::OPERATION_ID_MAX,
    proxy::{DeviceInfo, core_response},
    rejection::Rejection,
    rpc::{Rpc, Shed},
};
use tokio::time::{Instant, timeout_at};

use self::asking::Asking;
use crate::tunnel::{
    Patience, Question, SendError,
    registry::{NotPicked, TunnelRegistry},
};

/// A poll that would wait longer for its turn is refused: its device asks again in a moment, and nobody notices. What has
/// piled up for a moment only is waited for.
const POLL: Patience =
    Patience { in_queue: Duration::from_millis(300), in_bunch: Duration::from_millis(1_500), is_behind_polls: true };
/// Everything else is refused when half of the budget would pass before Core begins, since the rest of it is needed
/// for the work and the way back.
const PERSON: Patience =
    Patience { in_queue: Duration::from_secs(2), in_bunch: Duration::from_secs(2), is_behind_polls: false };

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

    /// Asks until there is a reply, over as many as three tunnels, where a repeat can do no harm.
    ///
    /// Dropping the future frees the slots and cancels what is on its way; Core's late reply is then ignored.
    pub async fn call<R: Rpc>(&self, request: R, context: CallContext) -> Result<R::Reply, CallError> {
        let question = Question::new(request.into_payload(), context, R::SHED);
        let mut asking = Asking::new(&self.registry, question, R::REPEAT);
        asking.begin(patience(R::SHED)).inspect_err(|error| self.note_shed(R::SHED, error))?;
        let reply = timeout_at(asking.deadline(), asking.reply()).await;
        // Who was frozen finds both the reply and the end of its time; nobody waits for that reply any more.
        let reply = reply.ok().filter(|_| Instant::now() <= asking.deadline());
        unwrap::<R>(reply.unwrap_or_else(|| Err(asking.too_late())))
    }

    /// Sends over one tunnel, once, what Core can only answer when a person has done something: it takes no place of
    /// a request.
    pub async fn wait<R: Rpc>(&self, request: R, context: CallContext) -> Result<R::Reply, CallError> {
        let question = Question::new(request.into_payload(), context, R::SHED);
        let deadline = question.deadline;
        let waiting = asking::wait(&self.registry, question);
        unwrap::<R>(timeout_at(deadline, waiting).await.unwrap_or(Err(CallError::DeadlineExceeded)))
    }

    fn note_shed(&self, shed: Shed, error: &CallError) {
        if *error != CallError::Overloaded {
            return;
        }
        let decisions = self.registry.decisions();
        match shed {
            Shed::First => decisions.shed_polls.increment(1),
            Shed::Last => decisions.shed_others.increment(1),
        }
        tracing::debug!(?shed, "a request is shed: it would wait too long");
    }
}

fn patience(shed: Shed) -> Patience {
    match shed {
        Shed::First => POLL,
        Shed::Last => PERSON,
    }
}

fn unwrap<R: Rpc>(reply: Result<core_response::Payload, CallError>) -> Result<R::Reply, CallError> {
    R::from_reply(reply?).map_err(|_| CallError::BadReply)
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

impl From<NotPicked> for CallError {
    fn from(reason: NotPicked) -> Self {
        match reason {
            NotPicked::None => Self::NoTunnel,
            NotPicked::Busy => Self::Overloaded,
        }
    }
}
