//! Serves one tunnel: hands replies to their callers and pushes to their place, until it ends.

use std::{fmt, pin::pin, sync::Arc};

use bytes::Bytes;
use metrics::{Counter, counter};
use postern_proto::{link::Probe, proxy::core_request::Payload};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval},
};
use tonic::{Status, Streaming};

use super::{
    Tunnel, frame,
    liveness::{CHECK_INTERVAL, Liveness, Verdict},
    pace::Meter,
    push::Pushes,
    registry::Lease,
};
use crate::certificate::Certificates;

/// Why a tunnel ended.
#[derive(Debug)]
enum Ended {
    /// Core closed its half.
    ByCore,
    /// The stream or the connection under it broke.
    Broken(Status),
    /// Core was silent for too long.
    Silent,
    /// We asked for it: shutdown or Purge.
    ByUs,
    /// The connection ended, and took the tunnel with it.
    WithConnection,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ByCore => f.write_str("core closed it"),
            Self::Broken(status) => write!(f, "broken: {}", status.message()),
            Self::Silent => f.write_str("core was silent"),
            Self::ByUs => f.write_str("this edge closed it"),
            Self::WithConnection => f.write_str("its connection ended"),
        }
    }
}

/// Tells of the tunnel's end when dropped: a connection that ends drops the future that serves the tunnel.
struct End {
    tunnel: Arc<Tunnel>,
    reason: Ended,
}

impl Drop for End {
    fn drop(&mut self) {
        let (number, in_flight) = (self.tunnel.number, self.tunnel.load());
        tracing::info!(tunnel = number, in_flight, reason = %self.reason, "tunnel down");
    }
}

/// The incoming half, with the only strong sender of the outgoing one.
#[derive(Debug)]
pub(super) struct TunnelStream {
    incoming: Streaming<Bytes>,
    outgoing: mpsc::Sender<Bytes>,
    lease: Lease,
    pushes: Pushes,
    meter: Meter,
    unclaimed: Counter,
    malformed: Counter,
}

impl TunnelStream {
    pub(super) fn new(
        incoming: Streaming<Bytes>,
        outgoing: mpsc::Sender<Bytes>,
        lease: Lease,
        certificates: Certificates,
    ) -> Self {
        Self {
            incoming,
            outgoing,
            lease,
            pushes: Pushes::new(certificates),
            meter: Meter::default(),
            unclaimed: counter!("postern_edge_replies_unclaimed_total"),
            malformed: counter!("postern_edge_messages_malformed_total"),
        }
    }

    /// Runs until the tunnel ends. Returning drops the lease, which fails whoever still waits.
    pub(super) async fn serve(mut self) {
        let tunnel = Arc::clone(self.lease.tunnel());
        tracing::info!(tunnel = tunnel.number, core = %tunnel.source, "tunnel up");
        let mut end = End { tunnel, reason: Ended::WithConnection };
        end.reason = self.run().await;
    }

    async fn run(&mut self) -> Ended {
        let ending = self.lease.tunnel().ending.clone();
        let mut ending = pin!(ending.cancelled());
        // Core gave up on its half of the stream.
        let outgoing = self.outgoing.clone();
        let mut abandoned = pin!(outgoing.closed());
        let mut checks = interval(CHECK_INTERVAL);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut liveness = Liveness::new(Instant::now());
        loop {
            tokio::select! {
                biased;
                message = self.incoming.message() => match message {
                    Ok(Some(message)) => {
                        let now = Instant::now();
                        liveness.hear(now);
                        self.take(message, now, &mut liveness);
                    }
                    Ok(None) => return Ended::ByCore,
                    Err(status) => return Ended::Broken(status),
                },
                () = &mut ending => return Ended::ByUs,
                () = &mut abandoned => return Ended::ByCore,
                _ = checks.tick() => {
                    self.lease.registry().measure();
                    if self.is_lost(&mut liveness) {
                        return Ended::Silent;
                    }
                }
            }
        }
    }

    fn take(&mut self, message: Bytes, now: Instant, liveness: &mut Liveness) {
        match frame::peek_id(&message) {
            Ok(0) => {
                if let Some(answered) = self.pushes.take(&self.lease, message) {
                    liveness.probe_answered(answered.sequence);
                }
            }
            Ok(id) => match self.lease.tunnel().take_reply((id, message), &mut self.meter, now) {
                Some(sent) => liveness.seen_until(sent),
                // Late, or sent twice, or never asked for.
                None => self.unclaimed.increment(1),
            },
            Err(_) => self.malformed.increment(1),
        }
    }

    fn is_lost(&self, liveness: &mut Liveness) -> bool {
        let tunnel = self.lease.tunnel();
        if !tunnel.speaks_link {
            return false;
        }
        let Verdict::Present { silent, probe } = liveness.check(Instant::now()) else { return true };
        tunnel.set_silent(silent);
        if silent {
            // Each time, since another tunnel may have come up meanwhile.
            tunnel.tell_silence();
        }
        if let Some(sequence) = probe
            && let Err(error) = tunnel.tell(Payload::Probe(Probe { sequence }))
        {
            tracing::debug!(tunnel = tunnel.number, %error, "cannot probe core");
        }
        false
    }
}
