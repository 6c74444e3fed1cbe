//! One request on one tunnel, from its registration to its outcome.
//!
//! Dropping it frees the slot, and tells a Core that understands it that nobody waits any more.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use postern_proto::{
    link::RequestContext,
    proxy::{CoreRequest, core_request},
    rpc::Shed,
};
use prost::Message as _;
use tokio::{sync::oneshot, time::Instant};

use super::{SendError, Tunnel, in_flight::Lane};
use crate::core_client::CallContext;

/// A call with little of its budget left may have come just before a reply that is merely slow.
const EVIDENCE_MIN: Duration = Duration::from_secs(1);

/// What a tunnel tells a caller that waits.
#[derive(Debug)]
pub(super) enum Heard {
    Reply(Bytes),
    /// Core has fallen silent. A reply may still come, here.
    Silence(oneshot::Receiver<Self>),
}

/// How a caller is woken.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) lane: Lane,
    /// Of the tunnel's polls, if it is one.
    pub(super) poll: Option<Arc<()>>,
    pub(super) sent: Instant,
    pub(super) reply: oneshot::Sender<Heard>,
}

/// What has become of an attempt.
#[derive(Debug)]
pub(crate) enum Progress {
    Reply(Bytes),
    /// The tunnel ended before the reply came.
    Lost,
    /// Core has fallen silent; the attempt goes on.
    Silence,
}

/// A request as it is sent, perhaps over several tunnels one after the other.
#[derive(Debug)]
pub(crate) struct Question {
    message: CoreRequest,
    /// In the message only while that is written for a Core that speaks our link.
    context: RequestContext,
    pub(crate) shed: Shed,
    pub(crate) deadline: Instant,
}

impl Question {
    pub(crate) fn new(payload: core_request::Payload, context: CallContext, shed: Shed) -> Self {
        let CallContext { device_info, operation_id, deadline } = context;
        let message = CoreRequest { id: 0, device_info: Some(device_info), payload: Some(payload), context: None };
        let context = RequestContext { operation_id: operation_id.into_inner(), ..RequestContext::default() };
        Self { message, context, shed, deadline }
    }

    fn write_for(&mut self, tunnel: &Tunnel, id: u64, now: Instant) -> Bytes {
        self.message.id = id;
        if !tunnel.speaks_link {
            return self.message.encode_to_vec().into();
        }
        let left = self.deadline.saturating_duration_since(now);
        self.context.deadline_ms = u32::try_from(left.as_millis()).unwrap_or(u32::MAX);
        self.message.context = Some(std::mem::take(&mut self.context));
        let bytes = self.message.encode_to_vec();
        self.context = self.message.context.take().unwrap_or_default();
        bytes.into()
    }
}

/// How far an attempt has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// In the map, and not on its way.
    Registered,
    /// Core may see it.
    Sent,
    Answered,
    /// Core may have seen it, and nobody will say what came of it.
    Lost,
}

#[derive(Debug)]
pub(crate) struct Attempt {
    tunnel: Arc<Tunnel>,
    id: u64,
    reply: oneshot::Receiver<Heard>,
    sent: Instant,
    stage: Stage,
}

impl Attempt {
    /// Registers the question, then queues it.
    pub(super) fn begin(tunnel: Arc<Tunnel>, lane: Lane, question: &mut Question) -> Result<Self, SendError> {
        let now = Instant::now();
        if question.deadline <= now {
            return Err(SendError::TooLate);
        }
        let (waiter, reply) = oneshot::channel();
        let poll = (question.shed == Shed::First).then(|| Arc::clone(&tunnel.polls));
        let waiter = Waiter { lane, poll, sent: now, reply: waiter };
        let id = tunnel.in_flight.register(lane, waiter)?;
        let mut attempt = Self { tunnel, id, reply, sent: now, stage: Stage::Registered };
        let message = question.write_for(&attempt.tunnel, id, now);
        attempt.tunnel.queue(lane, message)?;
        attempt.stage = Stage::Sent;
        attempt.tunnel.pace.note_sent(attempt.tunnel.load(), now);
        Ok(attempt)
    }

    /// Not to be asked again after a reply or a loss.
    pub(crate) fn poll_progress(&mut self, cx: &mut Context<'_>) -> Poll<Progress> {
        Poll::Ready(match ready!(Pin::new(&mut self.reply).poll(cx)) {
            Ok(Heard::Reply(reply)) => {
                self.stage = Stage::Answered;
                Progress::Reply(reply)
            }
            Ok(Heard::Silence(later)) => {
                self.reply = later;
                Progress::Silence
            }
            Err(_) => {
                self.stage = Stage::Lost;
                Progress::Lost
            }
        })
    }

    /// Core has replied that it does not know whether it did what was asked.
    pub(crate) fn doubt(&mut self) {
        self.stage = Stage::Lost;
    }

    /// A reply may still come.
    pub(crate) fn is_waiting(&self) -> bool {
        self.stage == Stage::Sent
    }

    /// Core may have done what was asked, and has not said so.
    pub(crate) fn is_uncertain(&self) -> bool {
        matches!(self.stage, Stage::Sent | Stage::Lost)
    }

    pub(crate) fn tunnel(&self) -> &Tunnel {
        &self.tunnel
    }

    /// Since this was sent, long enough ago, Core has replied to nothing.
    pub(crate) fn was_all_in_vain(&self) -> bool {
        self.sent.elapsed() >= EVIDENCE_MIN && !self.tunnel.pace.has_replied_since(self.sent)
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        match self.stage {
            Stage::Answered | Stage::Lost => return,
            Stage::Registered => drop(self.tunnel.in_flight.complete(self.id)),
            Stage::Sent if self.tunnel.in_flight.complete(self.id).is_some() => self.tunnel.cancel(self.id),
            Stage::Sent => {}
        }
        self.tunnel.pace.note_left(self.tunnel.load());
    }
}
