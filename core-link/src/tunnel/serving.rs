//! From a message to its reply.
//!
//! Each request runs in a task of its own and gets exactly one reply, unless its deadline passes
//! first or the Edge calls it off: then nobody waits, and nothing is sent. What another Edge may be asking for under
//! the same operation goes on all the same, once it has begun, so that the repeat finds its outcome.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use bytes::{Buf, Bytes};
use futures::FutureExt;
use postern_proto::{
    limits::{APPROVAL_BUDGET, REQUEST_BUDGET},
    link::ProbeReply,
    proxy::{CoreRequest, CoreResponse, core_request, core_response},
    rejection::Rejection,
};
use prost::{
    Message,
    encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field},
};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};
use tonic::Code;
use tracing::Instrument;

use super::{Tunnel, cancels::CalledOff};
use crate::{
    handler::{Handler, OperationId, Reply, Request},
    link::Core,
};

/// Largest message that is looked at, in bytes. Real requests are far below; requests of the full size of
/// a message, as many as may be in flight, would let one Edge take gigabytes.
const REQUEST_MAX: usize = 256 * 1024;

/// A request that can be served: everything in it has been checked.
struct Accepted {
    id: u64,
    kind: &'static str,
    /// The Edge understands what is ours in a reply.
    speaks_link: bool,
    request: Request,
}

/// What comes of a request that was called off after it had begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begun {
    /// Nobody else can want it.
    Ends,
    /// Whoever repeats the operation gets its outcome.
    GoesOn,
}

impl Begun {
    fn of(request: &Request) -> Self {
        let waits_for_a_person = matches!(request.payload, core_request::Payload::AwaitRemoteMfaFinish(_));
        if request.operation_id.is_none() || waits_for_a_person || request.payload.only_reads() {
            Self::Ends
        } else {
            Self::GoesOn
        }
    }
}

impl<H: Handler> Tunnel<H> {
    pub(super) fn accept(&mut self, message: Bytes) {
        if message.len() > REQUEST_MAX {
            return self.refuse(id_of(message), Rejection::new(Code::InvalidArgument, "the request is too large"));
        }
        match CoreRequest::decode(message.clone()) {
            Ok(CoreRequest { id, payload: Some(payload), device_info, context }) => {
                self.route(CoreRequest { id, payload: None, device_info, context }, payload);
            }
            Ok(CoreRequest { id, payload: None, .. }) => {
                self.refuse(id, Rejection::new(Code::Unimplemented, "this Core does not know this request"));
            }
            Err(error) => {
                tracing::debug!(edge = %self.edge, %error, "a message could not be read");
                self.refuse(id_of(message), Rejection::new(Code::InvalidArgument, "the request cannot be read"));
            }
        }
    }

    fn route(&mut self, envelope: CoreRequest, payload: core_request::Payload) {
        if let core_request::Payload::Probe(probe) = payload {
            let reply = ProbeReply { sequence: probe.sequence };
            self.reply_now(envelope.id, core_response::Payload::ProbeReply(reply));
        } else if let core_request::Payload::ProbeReply(reply) = payload {
            self.heard.last_probe_answered = self.heard.last_probe_answered.max(reply.sequence);
        } else if let core_request::Payload::Draining(_) = payload {
            self.edge_drains = true;
        } else if let core_request::Payload::Cancel(cancel) = payload {
            let was_running = self.cancels.cancel(cancel.request_id);
            tracing::debug!(edge = %self.edge, id = cancel.request_id, was_running, "the Edge waits for a reply no more");
        } else if envelope.id == 0 {
            tracing::debug!(edge = %self.edge, kind = payload.kind(), "a push of an unknown kind is ignored");
        } else {
            self.serve_request(envelope, payload);
        }
    }

    fn serve_request(&mut self, envelope: CoreRequest, payload: core_request::Payload) {
        let waits_for_a_person = matches!(payload, core_request::Payload::AwaitRemoteMfaFinish(_));
        let (running, permits) = if waits_for_a_person {
            (&self.approvals, &self.approval_permits)
        } else {
            (&self.requests, &self.request_permits)
        };
        let is_poll = matches!(payload, core_request::Payload::InstanceInfo(_));
        let permit = if is_poll { permits.take_for_poll() } else { permits.take() };
        let Some(permit) = permit else {
            self.refuse(envelope.id, Rejection::new(Code::ResourceExhausted, "too many requests at once"));
            return;
        };
        let budget = if waits_for_a_person { APPROVAL_BUDGET } else { REQUEST_BUDGET };
        let accepted = match self.check(envelope, payload, budget) {
            Ok(accepted) => accepted,
            Err((id, rejection)) => return self.refuse(id, rejection),
        };
        let id = accepted.id;
        let span = tracing::debug_span!("request", edge = %self.edge, id, kind = accepted.kind);
        let answer = answer(Arc::clone(&self.core), accepted, self.outgoing.clone(), self.cancels.add(id));
        let answer = async move {
            answer.await;
            drop(permit);
        };
        let answer = answer.instrument(span);
        if waits_for_a_person {
            let ended = self.ended.clone();
            let answer = async move { ended.run_until_cancelled(answer).await.unwrap_or_default() };
            self.core.tasks.spawn(running.track_future(answer));
        } else {
            self.core.tasks.spawn(running.track_future(answer));
        }
    }

    fn check(
        &self,
        envelope: CoreRequest,
        payload: core_request::Payload,
        budget: Duration,
    ) -> Result<Accepted, (u64, Rejection)> {
        let context = envelope.context.filter(|_| self.peer.speaks_link).unwrap_or_default();
        let operation_id = Some(context.operation_id).filter(|id| !id.is_empty()).map(OperationId::parse).transpose();
        let operation_id =
            operation_id.map_err(|bad| (envelope.id, Rejection::new(Code::InvalidArgument, bad.to_string())))?;
        let left = match context.deadline_ms {
            0 => budget,
            left => budget.min(Duration::from_millis(left.into())),
        };
        let kind = payload.kind();
        let deadline = Instant::now() + left;
        let request = Request { edge: self.edge, device_info: envelope.device_info, operation_id, deadline, payload };
        Ok(Accepted { id: envelope.id, kind, speaks_link: self.peer.speaks_link, request })
    }

    /// Refuses without a task. Id 0 names no request, so nobody waits.
    fn refuse(&self, id: u64, rejection: Rejection) {
        if id == 0 {
            tracing::debug!(edge = %self.edge, %rejection, "a push is ignored");
        } else {
            self.reply_now(id, core_response::Payload::CoreError(rejection.into()));
        }
    }

    /// When the queue is full the Edge reads nothing, and its own deadline answers the request.
    fn reply_now(&self, id: u64, payload: core_response::Payload) {
        if self.outgoing.try_send(encode(id, payload)).is_err() {
            tracing::debug!(edge = %self.edge, id, "a reply was dropped: the Edge does not read");
        }
    }
}

async fn answer<H: Handler>(
    core: Arc<Core<H>>,
    accepted: Accepted,
    outgoing: mpsc::Sender<Bytes>,
    mut called_off: CalledOff,
) {
    if called_off.has_come() {
        return;
    }
    match Begun::of(&accepted.request) {
        Begun::GoesOn => serve(core, accepted, outgoing, || !called_off.has_come()).await,
        Begun::Ends => tokio::select! {
            biased;
            () = called_off.wait() => {}
            () = serve(core, accepted, outgoing, || true) => {}
        },
    }
}

async fn serve<H: Handler>(
    core: Arc<Core<H>>,
    accepted: Accepted,
    outgoing: mpsc::Sender<Bytes>,
    is_awaited: impl FnOnce() -> bool,
) {
    let Accepted { id, kind, speaks_link, request } = accepted;
    let edge = request.edge;
    let answered = timeout_at(request.deadline, async {
        let reply = AssertUnwindSafe(async { core.handler.handle(request).await }).catch_unwind().await;
        let reply = reply.unwrap_or_else(|_| {
            tracing::error!(%edge, id, kind, "a handler panicked");
            Err(Rejection::new(Code::Internal, "internal error"))
        });
        if !is_awaited() {
            return Ok(());
        }
        outgoing.send(encode(id, payload_of(reply, speaks_link))).await
    })
    .await;
    match answered {
        Ok(Ok(())) => {}
        Ok(Err(_)) => tracing::debug!(%edge, id, kind, "a reply was dropped: the tunnel has ended"),
        Err(_) => tracing::debug!(%edge, id, kind, "a request was dropped at its deadline"),
    }
}

fn payload_of(reply: Reply, speaks_link: bool) -> core_response::Payload {
    reply.unwrap_or_else(|rejection| {
        let retry_after_seconds = rejection.retry_after_seconds.filter(|_| speaks_link);
        core_response::Payload::CoreError(Rejection { retry_after_seconds, ..rejection }.into())
    })
}

fn encode(id: u64, payload: core_response::Payload) -> Bytes {
    CoreResponse { id, payload: Some(payload) }.encode_to_vec().into()
}

/// The id of a message that does not decode; 0 when that cannot be read either.
fn id_of(mut message: Bytes) -> u64 {
    while message.has_remaining() {
        let Ok((field, wire_type)) = decode_key(&mut message) else { return 0 };
        if field == 1 && wire_type == WireType::Varint {
            return decode_varint(&mut message).unwrap_or(0);
        }
        if skip_field(wire_type, field, &mut message, DecodeContext::default()).is_err() {
            return 0;
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_broken_message_is_found_if_it_stands_before_the_damage() {
        for (message, id) in [
            (&b"\x08\x07\xff\xff"[..], 7),
            (b"\x12\x01x\x08\x07\x12\x7f", 7),
            (b"\x12\x7f\x08\x07", 0),
            (b"\x08", 0),
            (b"\xff", 0),
            (b"", 0),
        ] {
            assert_eq!(id_of(Bytes::from_static(message)), id, "{message:02x?}");
        }
    }
}
