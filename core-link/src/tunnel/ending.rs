//! How Core ends a tunnel: tell the Edge, finish what is in flight, let it see the end.

use std::time::Duration;

use postern_proto::{link::Draining, proxy::core_response, service::ProxyClient};
use tokio::time::{Instant, sleep_until, timeout};
use tonic::Status;

use super::{Tunnel, TunnelEnd};
use crate::{
    edge::EdgeId, error::PurgeError, greeting::push, handler::Handler, headers, link::Purge, transport::Channel,
};

/// A request may have been on its way to us when the Edge learned that we drain.
const QUIET: Duration = Duration::from_millis(50);
/// The Edge deletes a few files.
const PURGE_MAX: Duration = Duration::from_secs(2);
/// For the Edge to end its half of the stream after ours.
const HANG_UP_MAX: Duration = Duration::from_secs(1);

impl<H: Handler> Tunnel<H> {
    pub(super) async fn stop(mut self) -> TunnelEnd {
        match self.drain().await {
            Some(TunnelEnd::Announced) | None => {
                self.hang_up().await;
                TunnelEnd::Stopped
            }
            // The link ends all the same.
            Some(_lost) => TunnelEnd::Stopped,
        }
    }

    pub(super) async fn purge(mut self, purge: Purge) -> TunnelEnd {
        let outcome = match self.drain().await {
            Some(_lost) => Err(PurgeError::TunnelLost(self.edge)),
            None => call_purge(&mut self.client, self.edge).await,
        };
        let end = if outcome.is_ok() { TunnelEnd::Purged } else { TunnelEnd::PurgeFailed };
        self.hang_up().await;
        // Whoever asked may have given up.
        drop(purge.done.send(outcome));
        end
    }

    /// Until the Edge knows and all it has sent is answered, or the drain limit; `Some` when the
    /// tunnel ended meanwhile.
    async fn drain(&mut self) -> Option<TunnelEnd> {
        let deadline = Instant::now() + self.core.limits.drain_max;
        let barrier = if self.peer.speaks_link {
            self.send_now(push(core_response::Payload::Draining(Draining {}))).err().map_or_else(|| self.probe(), Err)
        } else {
            Ok(0)
        };
        let barrier = match barrier {
            Ok(sequence) => sequence,
            Err(end) => return Some(end),
        };
        self.requests.close();
        let requests = self.requests.clone();
        let mut quiet_until = Instant::now() + QUIET;
        loop {
            let done = self.heard.last_probe_answered >= barrier && requests.is_empty();
            tokio::select! {
                biased;
                () = sleep_until(deadline) => return None,
                message = self.inbound.message() => {
                    if let Some(end) = self.receive(message) {
                        return Some(end);
                    }
                    quiet_until = Instant::now() + QUIET;
                }
                () = requests.wait(), if !requests.is_empty() => quiet_until = Instant::now() + QUIET,
                () = sleep_until(quiet_until), if done => return None,
            }
        }
    }

    /// Sends what is queued, ends our half of the stream, and waits a moment for the Edge's.
    async fn hang_up(self) {
        self.ended.cancel();
        let Self { mut inbound, transport, client, .. } = self;
        let edge_ended = async { while let Ok(Some(_)) = inbound.message().await {} };
        if timeout(HANG_UP_MAX, edge_ended).await.is_err() {
            tracing::debug!("an Edge did not end its half of the tunnel");
        }
        drop((inbound, client));
        transport.close().await;
    }
}

async fn call_purge(client: &mut ProxyClient<Channel>, edge: EdgeId) -> Result<(), PurgeError> {
    match timeout(PURGE_MAX, client.purge(headers::introduce(()))).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(status)) => Err(refusal(edge, &status)),
        Err(_) => Err(PurgeError::TimedOut(edge)),
    }
}

fn refusal(edge: EdgeId, status: &Status) -> PurgeError {
    if headers::is_from_peer(status) {
        PurgeError::Refused { edge, code: status.code(), message: headers::words(status) }
    } else {
        PurgeError::TunnelLost(edge)
    }
}
