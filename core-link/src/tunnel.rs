//! One live tunnel to an Edge.
//!
//! Reads one message after the other and never waits for what it starts, so that a slow request
//! holds up no other. No message ends the tunnel: a bad one fails its own id. Once ended it never
//! comes back.

use std::{error::Error, fmt, sync::Arc};

use bytes::Bytes;
use futures::FutureExt;
use postern_proto::{
    limits::{PROBE_INTERVAL, PROBES_MISSED_MAX, SILENCE_CLOSED},
    link::Probe,
    proxy::core_response,
    service::ProxyClient,
    version::Peer,
};
use tokio::{
    sync::mpsc::{self, error::TrySendError},
    time::{Interval, MissedTickBehavior, interval},
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};
use tonic::{Status, Streaming};

use crate::{
    dialer::Dialed,
    edge::EdgeId,
    error::Chain,
    greeting::push,
    handler::Handler,
    headers,
    link::{Announcements, Core, Purge},
    transport::{Channel, Transport},
};

use cancels::Cancels;
use permits::Permits;

mod cancels;
mod ending;
pub(crate) mod outgoing;
mod permits;
mod serving;
mod sync;

/// Messages read in a row before anything else gets its turn.
const BATCH_MAX: usize = 32;

/// Why a tunnel ended.
#[derive(Debug)]
pub(crate) enum TunnelEnd {
    /// The Edge said that it would, or ended its stream in order.
    Announced,
    /// The connection failed.
    Lost(Status),
    /// Nothing was received for too long.
    Silent,
    /// The Edge did not hear us for too long.
    Unheard,
    /// The Edge did not read what was sent.
    Stalled,
    /// The link was stopped.
    Stopped,
    /// The Edge has forgotten its identity.
    Purged,
    /// The Edge was to forget its identity, and drained, but did not.
    PurgeFailed,
}

impl fmt::Display for TunnelEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Announced => f.write_str("ended by the Edge"),
            Self::Lost(status) => match status.source() {
                Some(cause) => write!(f, "connection lost: {}", Chain(cause)),
                None => write!(f, "ended by the Edge ({:?}): {}", status.code(), headers::words(status)),
            },
            Self::Silent => write!(f, "nothing received for {SILENCE_CLOSED:?}"),
            Self::Unheard => write!(f, "{PROBES_MISSED_MAX} probes in a row without an answer"),
            Self::Stalled => f.write_str("the Edge did not read what was sent"),
            Self::Stopped => f.write_str("ended by Core"),
            Self::Purged => f.write_str("purged"),
            Self::PurgeFailed => f.write_str("the purge failed"),
        }
    }
}

pub(crate) struct Tunnel<H> {
    edge: EdgeId,
    core: Arc<Core<H>>,
    peer: Peer,
    transport: Transport,
    client: ProxyClient<Channel>,
    inbound: Streaming<Bytes>,
    outgoing: mpsc::Sender<Bytes>,
    /// Cancelled when the tunnel ends in whatever way.
    ended: CancellationToken,
    _end_on_drop: DropGuard,
    requests: TaskTracker,
    request_permits: Permits,
    approvals: TaskTracker,
    approval_permits: Permits,
    cancels: Cancels,
    heard: Heard,
    edge_drains: bool,
}

/// What was received of late.
#[derive(Debug, Default)]
struct Heard {
    since_tick: bool,
    silent_ticks: u32,
    probes_sent: u64,
    last_probe_answered: u64,
}

impl<H: Handler> Tunnel<H> {
    pub(crate) fn new(edge: EdgeId, core: Arc<Core<H>>, dialed: Dialed) -> Self {
        let Dialed { peer, transport, client, inbound, outgoing, ended } = dialed;
        let request_permits = Permits::new(core.limits.requests_max);
        let approval_permits = Permits::new(core.limits.approvals_max);
        Self {
            edge,
            core,
            peer,
            transport,
            client,
            inbound,
            outgoing,
            _end_on_drop: ended.clone().drop_guard(),
            ended,
            requests: TaskTracker::new(),
            request_permits,
            approvals: TaskTracker::new(),
            approval_permits,
            cancels: Cancels::default(),
            heard: Heard::default(),
            edge_drains: false,
        }
    }

    pub(crate) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Counts the requests in flight.
    pub(crate) fn requests(&self) -> TaskTracker {
        self.requests.clone()
    }

    /// Serves until the tunnel ends, or is told to.
    pub(crate) async fn serve(mut self, stop: &CancellationToken, purges: &mut mpsc::Receiver<Purge>) -> TunnelEnd {
        let Announcements { mut greetings, mut web } = self.core.announcements.clone();
        greetings.mark_changed();
        web.mark_changed();
        let mut ticks = ticks();
        loop {
            let end = tokio::select! {
                biased;
                () = stop.cancelled() => return self.stop().await,
                Some(purge) = purges.recv() => return self.purge(purge).await,
                Ok(()) = greetings.changed() => {
                    let greeting = greetings.borrow_and_update().clone();
                    greeting.pushes(self.peer.speaks_link).find_map(|push| self.send_now(push).err())
                }
                Ok(()) = web.changed() => {
                    let push = web.borrow_and_update().push(self.peer.speaks_link);
                    push.and_then(|push| self.send_now(push).err())
                }
                _ = ticks.tick() => self.tick(),
                message = self.inbound.message() => self.receive_batch(message),
            };
            if let Some(end) = end {
                return end;
            }
        }
    }

    /// Takes a message and those right behind it.
    fn receive_batch(&mut self, first: Result<Option<Bytes>, Status>) -> Option<TunnelEnd> {
        let mut message = first;
        for _ in 0..BATCH_MAX {
            if let Some(end) = self.receive(message) {
                return Some(end);
            }
            message = self.inbound.message().now_or_never()?;
        }
        self.receive(message)
    }

    fn receive(&mut self, message: Result<Option<Bytes>, Status>) -> Option<TunnelEnd> {
        match message {
            Ok(Some(bytes)) => {
                self.heard.since_tick = true;
                self.accept(bytes);
                None
            }
            Ok(None) => Some(TunnelEnd::Announced),
            Err(_) if self.edge_drains => Some(TunnelEnd::Announced),
            Err(status) => Some(TunnelEnd::Lost(status)),
        }
    }

    /// Once a second: ask the Edge whether it hears us, also amid traffic, which may be one-way. Seconds are counted and
    /// not measured, so that a Core that was itself suspended does not take its own sleep for the Edge's.
    fn tick(&mut self) -> Option<TunnelEnd> {
        if !self.peer.speaks_link {
            return None;
        }
        let heard = std::mem::take(&mut self.heard.since_tick);
        self.heard.silent_ticks = if heard { 0 } else { self.heard.silent_ticks + 1 };
        if PROBE_INTERVAL * self.heard.silent_ticks >= SILENCE_CLOSED {
            return Some(TunnelEnd::Silent);
        }
        if self.heard.probes_sent.saturating_sub(self.heard.last_probe_answered) >= u64::from(PROBES_MISSED_MAX) {
            return Some(TunnelEnd::Unheard);
        }
        self.probe().err()
    }

    /// Asks for a sign of life. Its answer also shows that all that the Edge had sent before it
    /// saw the probe has been received.
    fn probe(&mut self) -> Result<u64, TunnelEnd> {
        self.heard.probes_sent += 1;
        let sequence = self.heard.probes_sent;
        self.send_now(push(core_response::Payload::Probe(Probe { sequence })))?;
        Ok(sequence)
    }

    /// Queues a message that must not get lost and that the reader must not wait for.
    fn send_now(&self, message: Bytes) -> Result<(), TunnelEnd> {
        match self.outgoing.try_send(message) {
            Err(TrySendError::Full(_)) => Err(TunnelEnd::Stalled),
            // When the stream is gone, reading says why.
            Ok(()) | Err(TrySendError::Closed(_)) => Ok(()),
        }
    }
}

fn ticks() -> Interval {
    let mut ticks = interval(PROBE_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.reset();
    ticks
}

#[cfg(all(test, feature = "testing"))]
mod tests;
