//! Live streams from Cores: accepting them, choosing one, pairing replies with requests.
//!
//! Every request gets exactly one outcome: a reply, or the reason the tunnel ended. A tunnel is never
//! revived; a new stream is a new [`Tunnel`].

mod connection;
mod frame;
mod gate;
pub mod in_flight;
pub mod listener;
mod liveness;
mod order;
pub mod push;
mod refusals;
pub mod registry;
mod service;
mod session_keys;
mod stream;

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use postern_proto::{
    link::RequestContext,
    proxy::{CoreRequest, core_request},
    version::Peer,
};
use prost::Message as _;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use self::in_flight::{IN_FLIGHT_MAX, InFlight, Lane, RegisterError};
use crate::core_client::CallContext;

/// Messages that wait for their stream. A stream that is this far behind is stalled, and more
/// waiting would only make replies too late; room for every request in flight plus our own.
const OUTGOING_RESERVED: usize = IN_FLIGHT_MAX + 24;
/// The same with some waits for persons, which come in a crowd after a tunnel was lost and may come again.
const OUTGOING_CAPACITY: usize = OUTGOING_RESERVED + 256;

/// Which Core a tunnel comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CoreSource {
    /// One of ours names its process.
    Instance(Arc<str>),
    /// A stock Core says nothing of itself: all of them look like one.
    Stock,
}

impl From<&Peer> for CoreSource {
    fn from(peer: &Peer) -> Self {
        peer.instance.as_deref().map_or(Self::Stock, |instance| Self::Instance(instance.into()))
    }
}

impl fmt::Display for CoreSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instance(id) => f.write_str(id),
            Self::Stock => f.write_str("stock"),
        }
    }
}

/// Why a request was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SendError {
    #[error("the tunnel has ended")]
    Ended,
    #[error("too many requests are in flight")]
    Full,
    #[error("nothing is left of the time budget")]
    TooLate,
}

/// One live stream from a Core.
#[derive(Debug)]
pub(crate) struct Tunnel {
    number: u64,
    source: CoreSource,
    speaks_link: bool,
    in_flight: InFlight<oneshot::Sender<Bytes>>,
    /// Weak: the stream ends when the future that serves it drops the only strong sender.
    outgoing: mpsc::WeakSender<Bytes>,
    /// Core asked for nothing new.
    draining: AtomicBool,
    /// Nothing was heard for a while: a preference for others, no more.
    silent: AtomicBool,
    /// Asks the serving future to end.
    ending: CancellationToken,
}

impl Tunnel {
    /// Registers the request, then queues it. What comes back resolves with the raw reply.
    pub(crate) fn send(
        self: Arc<Self>,
        lane: Lane,
        payload: core_request::Payload,
        context: CallContext,
    ) -> Result<Waiting, SendError> {
        let left = context.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(SendError::TooLate);
        }
        let (waiter, reply) = oneshot::channel();
        let speaks_link = self.speaks_link;
        let id = self.in_flight.register(lane, waiter)?;
        let waiting = Waiting { reply, slot: Slot { tunnel: Some(self), id } };
        let link_context = speaks_link.then(|| RequestContext {
            operation_id: context.operation_id.into_inner(),
            deadline_ms: u32::try_from(left.as_millis()).unwrap_or(u32::MAX),
            traceparent: String::new(),
        });
        let request =
            CoreRequest { id, device_info: Some(context.device_info), payload: Some(payload), context: link_context };
        waiting.slot.queue(lane, &request)?;
        Ok(waiting)
    }

    fn queue(&self, lane: Lane, message: &CoreRequest) -> Result<(), SendError> {
        let outgoing = self.outgoing.upgrade().ok_or(SendError::Ended)?;
        if lane == Lane::Waits && outgoing.capacity() <= OUTGOING_RESERVED {
            return Err(SendError::Full);
        }
        outgoing.try_send(message.encode_to_vec().into()).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => SendError::Full,
            mpsc::error::TrySendError::Closed(_) => SendError::Ended,
        })
    }

    /// Queues one of our own messages; a Core that does not speak link never gets any.
    fn tell(&self, payload: core_request::Payload) -> Result<(), SendError> {
        if !self.speaks_link {
            return Ok(());
        }
        self.queue(Lane::Requests, &CoreRequest { id: 0, device_info: None, payload: Some(payload), context: None })
    }

    /// Requests in flight; waits for persons are no load.
    fn load(&self) -> usize {
        self.in_flight.waiting(Lane::Requests)
    }

    fn waits(&self) -> usize {
        self.in_flight.waiting(Lane::Waits)
    }

    fn is_silent(&self) -> bool {
        self.silent.load(Ordering::Relaxed)
    }

    fn set_silent(&self, silent: bool) {
        self.silent.store(silent, Ordering::Relaxed);
    }

    fn is_ending(&self) -> bool {
        self.ending.is_cancelled()
    }

    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

impl From<RegisterError> for SendError {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::Full => Self::Full,
            RegisterError::Closed => Self::Ended,
        }
    }
}

/// The tunnel ended before the reply came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lost;

/// A request in flight. Dropping it frees the slot.
#[derive(Debug)]
pub(crate) struct Waiting {
    reply: oneshot::Receiver<Bytes>,
    slot: Slot,
}

#[derive(Debug)]
struct Slot {
    /// `None` once the entry has left the map by itself.
    tunnel: Option<Arc<Tunnel>>,
    id: u64,
}

impl Future for Waiting {
    type Output = Result<Bytes, Lost>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.reply).poll(cx).map(|reply| {
            self.slot.tunnel = None;
            reply.map_err(|_| Lost)
        })
    }
}

impl Slot {
    fn queue(&self, lane: Lane, request: &CoreRequest) -> Result<(), SendError> {
        self.tunnel.as_ref().ok_or(SendError::Ended)?.queue(lane, request)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(tunnel) = &self.tunnel {
            drop(tunnel.in_flight.complete(self.id));
        }
    }
}
