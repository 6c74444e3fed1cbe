//! Live streams from Cores: accepting them, choosing one, pairing replies with requests.
//!
//! Every request gets exactly one outcome: a reply, or the reason the tunnel ended. A tunnel is never
//! revived; a new stream is a new [`Tunnel`].

mod attempt;
mod connection;
mod decisions;
mod frame;
mod gate;
pub mod in_flight;
pub mod listener;
mod liveness;
mod order;
mod pace;
pub mod port;
pub mod push;
mod refusals;
pub mod registry;
mod service;
mod session_keys;
mod standing;
mod stream;
mod sync;
mod view;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use postern_proto::{
    link::Cancel,
    proxy::{CoreRequest, core_request},
    rpc::Shed,
    version::Peer,
};
use prost::Message as _;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

pub(crate) use self::{
    attempt::{Attempt, Progress, Question},
    pace::{Meter, Patience},
};
use self::{
    attempt::{Heard, Waiter},
    decisions::Decisions,
    in_flight::{IN_FLIGHT_MAX, InFlight, Lane, RegisterError},
    pace::Pace,
    standing::Standing,
    view::Rank,
};

/// Messages that wait for their stream. A stream that is this far behind is stalled, and more
/// waiting would only make replies too late; room for every request in flight plus our own.
const OUTGOING_RESERVED: usize = IN_FLIGHT_MAX + 24;
/// The same with some waits for persons, which come in a crowd after a tunnel was lost and may come again.
const OUTGOING_CAPACITY: usize = OUTGOING_RESERVED + 256;

/// Which Core a tunnel comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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
    /// In the zone of this Edge, or there are no zones.
    near: bool,
    in_flight: InFlight<Waiter>,
    /// Each poll in flight holds one more.
    polls: Arc<()>,
    pace: Pace,
    /// Its Core's.
    standing: Arc<Standing>,
    decisions: Arc<Decisions>,
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
    /// Registers the request, then queues it.
    pub(crate) fn send(self: Arc<Self>, lane: Lane, question: &mut Question) -> Result<Attempt, SendError> {
        Attempt::begin(self, lane, question)
    }

    /// Hands a reply to who waits for it, and says when they asked; `None` when nobody waits.
    pub(crate) fn take_reply(&self, (id, reply): (u64, Bytes), meter: &mut Meter, now: Instant) -> Option<Instant> {
        let waiter = self.in_flight.complete(id);
        if waiter.as_ref().is_none_or(|waiter| waiter.lane == Lane::Requests) {
            let poll = waiter.as_ref().filter(|waiter| waiter.poll.is_some());
            let took = poll.map(|waiter| now.saturating_duration_since(waiter.sent));
            meter.count(&self.pace, now, (took, self.load()));
        }
        let Waiter { sent, reply: waiting, .. } = waiter?;
        waiting.send(Heard::Reply(reply)).is_ok().then_some(sent)
    }

    /// Core has fallen silent. Whoever waits for its reply is told, and waits on if there is nobody else to ask.
    pub(crate) fn tell_silence(&self) {
        self.in_flight.for_each(Lane::Requests, |waiter| {
            let (later, receiver) = oneshot::channel();
            let told = std::mem::replace(&mut waiter.reply, later).send(Heard::Silence(receiver));
            // A caller who has just left is about to take itself out.
            drop(told);
        });
    }

    /// Nobody waits for this reply any more. Takes no room of a request, and is no loss when it cannot be sent.
    fn cancel(&self, id: u64) {
        if !self.speaks_link {
            return;
        }
        let cancel = core_request::Payload::Cancel(Cancel { request_id: id });
        let queued = self.queue(Lane::Waits, push(cancel));
        tracing::debug!(tunnel = self.number, id, sent = queued.is_ok(), "nobody waits for a reply any more");
        if queued.is_ok() {
            self.decisions.cancelled.increment(1);
        }
    }

    fn queue(&self, lane: Lane, message: Bytes) -> Result<(), SendError> {
        let outgoing = self.outgoing.upgrade().ok_or(SendError::Ended)?;
        if lane == Lane::Waits && outgoing.capacity() <= OUTGOING_RESERVED {
            return Err(SendError::Full);
        }
        outgoing.try_send(message).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => SendError::Full,
            mpsc::error::TrySendError::Closed(_) => SendError::Ended,
        })
    }

    /// Queues one of our own messages; a Core that does not speak link never gets any.
    fn tell(&self, payload: core_request::Payload) -> Result<(), SendError> {
        if !self.speaks_link {
            return Ok(());
        }
        self.queue(Lane::Requests, push(payload))
    }

    /// How much it is preferred now.
    pub(crate) fn rank(&self) -> Rank {
        if self.is_silent() {
            Rank::Silent
        } else if self.standing.is_penalised() {
            Rank::Penalised
        } else if self.near {
            Rank::Near
        } else {
            Rank::Far
        }
    }

    /// Whether one more request gets its turn in time, as replies come now.
    pub(crate) fn has_time(&self, patience: Patience) -> bool {
        let (now, polls) = (Instant::now(), self.polls());
        if patience.is_behind_polls && !self.pace.has_room(polls, now) {
            return false;
        }
        // A stock Core serves all in order.
        let overtaken = if patience.is_behind_polls || !self.speaks_link { 0 } else { polls };
        self.pace.has_time(patience, self.load().saturating_sub(overtaken), now)
    }

    /// Core has failed; others are asked before it for a while.
    pub(crate) fn blame(&self, failure: &'static str) {
        if let Some(penalty) = self.standing.fail() {
            self.decisions.penalties.increment(1);
            tracing::debug!(tunnel = self.number, core = %self.source, failure, ?penalty, "a core is avoided");
        }
    }

    /// Core has answered as it should.
    pub(crate) fn trust(&self) {
        self.standing.succeed();
    }

    /// Core has refused one, for it is busy.
    pub(crate) fn note_no_room(&self, shed: Shed) {
        self.pace.discount();
        if shed == Shed::First {
            self.pace.narrow(Instant::now());
        }
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn source(&self) -> &CoreSource {
        &self.source
    }

    pub(crate) fn speaks_link(&self) -> bool {
        self.speaks_link
    }

    /// Requests in flight; waits for persons are no load.
    fn load(&self) -> usize {
        self.in_flight.waiting(Lane::Requests)
    }

    /// How many of these are polls.
    fn polls(&self) -> usize {
        Arc::strong_count(&self.polls) - 1
    }

    fn waits(&self) -> usize {
        self.in_flight.waiting(Lane::Waits)
    }

    pub(crate) fn is_silent(&self) -> bool {
        self.silent.load(Ordering::Relaxed)
    }

    pub(crate) fn set_silent(&self, silent: bool) {
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

/// A message that asks for no reply.
fn push(payload: core_request::Payload) -> Bytes {
    CoreRequest { id: 0, device_info: None, payload: Some(payload), context: None }.encode_to_vec().into()
}
