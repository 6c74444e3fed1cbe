//! Core's lasting relation to one Edge: at most one tunnel at a time, redialled for ever.
//!
//! A failing tunnel never ends it; only being stopped, or a purge that worked, does.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::FutureExt;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    backoff::{Backoff, Failure},
    dialer::{self, Dialed},
    edge::Edge,
    error::{Chain, DialError, PurgeError},
    greeting::Greeting,
    handler::Handler,
    instance::CoreInstance,
    status::StatusCell,
    supervisor::{Limits, SupervisorConfig},
    surroundings::Surroundings,
    tunnel::{Tunnel, TunnelEnd},
    web_certificate::WebServing,
};

/// An Edge that restarts is away for less; a longer absence is worth a warning.
const AWAY_UNNOTICED: Duration = Duration::from_secs(5);
/// A link that is stopped while it dials waits this long for what comes of it.
const STOPPED_DIAL_MAX: Duration = Duration::from_millis(500);
/// A panic in a link is our bug; it goes on, but not in a circle.
const AFTER_PANIC: Duration = Duration::from_secs(5);

/// What all links of a supervisor share.
pub(crate) struct Core<H> {
    pub(crate) instance: CoreInstance,
    pub(crate) limits: Limits,
    pub(crate) announcements: Announcements,
    /// Owns the links and the requests they serve.
    pub(crate) tasks: TaskTracker,
    pub(crate) handler: H,
    surroundings: Surroundings,
    links: AtomicUsize,
}

impl<H> Core<H> {
    pub(crate) fn new(
        config: SupervisorConfig,
        surroundings: Surroundings,
        announcements: Announcements,
        tasks: TaskTracker,
        handler: H,
    ) -> Self {
        let SupervisorConfig { instance, limits, .. } = config;
        Self { instance, limits, announcements, tasks, handler, surroundings, links: AtomicUsize::new(0) }
    }
}

/// What every Edge is told unasked, when it changes and on each new tunnel.
#[derive(Clone)]
pub(crate) struct Announcements {
    pub(crate) greetings: watch::Receiver<Greeting>,
    pub(crate) web: watch::Receiver<WebServing>,
}

/// "Make the Edge forget its identity."
pub(crate) struct Purge {
    pub(crate) done: oneshot::Sender<Result<(), PurgeError>>,
}

pub(crate) struct Link<H> {
    edge: Edge,
    core: Arc<Core<H>>,
    status: Arc<StatusCell>,
    stop: CancellationToken,
    purges: mpsc::Receiver<Purge>,
    backoff: Backoff,
    /// Since when there has been no tunnel, and what was said about it.
    away: Option<Away>,
}

struct Away {
    since: Instant,
    warned: Option<Failure>,
}

/// What comes after a tunnel or a dial.
enum Next {
    Dial(Failure),
    End,
}

impl<H: Handler> Link<H> {
    pub(crate) fn new(
        edge: Edge,
        core: Arc<Core<H>>,
        status: Arc<StatusCell>,
        stop: CancellationToken,
        purges: mpsc::Receiver<Purge>,
    ) -> Self {
        let now = Instant::now();
        core.links.fetch_add(1, Ordering::Relaxed);
        let away = Some(Away { since: now, warned: None });
        Self { edge, core, status, stop, purges, backoff: Backoff::new(now), away }
    }

    /// Ends when stopped, or after a purge.
    pub(crate) async fn run(mut self) {
        while AssertUnwindSafe(self.keep_a_tunnel()).catch_unwind().await.is_err() {
            tracing::error!(edge = %self.edge.id, "a link panicked and starts again");
            self.status.set_dialing("internal error".to_owned());
            if self.outside_a_tunnel(sleep(AFTER_PANIC)).await.is_none() {
                return;
            }
        }
    }

    async fn keep_a_tunnel(&mut self) {
        loop {
            let Some(dialed) = self.dial().await else { return };
            let next = match dialed {
                Ok(dialed) => self.serve(dialed).await,
                Err(error) => self.dial_failed(&error),
            };
            let Next::Dial(failure) = next else { return };
            let links = self.core.links.load(Ordering::Relaxed);
            let delay = self.backoff.delay(failure, links, Instant::now(), (self.core.surroundings.chance)());
            if self.outside_a_tunnel(sleep(delay)).await.is_none() {
                return;
            }
        }
    }

    /// `None` when stopped before it got anywhere. The Edge may use a tunnel before we know that it
    /// is open, so a dial is not just cut off: what came of it is drained.
    async fn dial(&mut self) -> Option<Result<Dialed, DialError>> {
        let (edge, core) = (self.edge.clone(), Arc::clone(&self.core));
        let mut dialing = pin!(dialer::dial(&edge, &core.instance, &*core.surroundings.network));
        match self.outside_a_tunnel(&mut dialing).await {
            Some(dialed) => Some(dialed),
            None => timeout(STOPPED_DIAL_MAX, dialing).await.ok(),
        }
    }

    /// Works while there is no tunnel; `None` when stopped meanwhile.
    async fn outside_a_tunnel<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return None,
                outcome = &mut work => return Some(outcome),
                Some(purge) = self.purges.recv() => {
                    // Whoever asked may have given up.
                    drop(purge.done.send(Err(PurgeError::NotConnected(self.edge.id))));
                }
            }
        }
    }

    async fn serve(&mut self, dialed: Dialed) -> Next {
        let since = Instant::now();
        let tunnel = Tunnel::new(self.edge.id, Arc::clone(&self.core), dialed);
        self.connected(&tunnel);
        let end = tunnel.serve(&self.stop, &mut self.purges).await;
        tracing::info!(edge = %self.edge.id, address = %self.edge.address, reason = %end, "tunnel ended");
        let now = Instant::now();
        self.status.set_dialing(end.to_string());
        self.away = Some(Away { since: now, warned: None });
        let stayed_up = self.backoff.tunnel_ended(since, now);
        match end {
            TunnelEnd::Stopped | TunnelEnd::Purged => Next::End,
            // An Edge that ends one tunnel after the other is not dialled without a pause.
            _ if !stayed_up => Next::Dial(Failure::Fleeting),
            TunnelEnd::Announced => Next::Dial(Failure::Announced),
            TunnelEnd::Lost(_)
            | TunnelEnd::Silent
            | TunnelEnd::Unheard
            | TunnelEnd::Stalled
            | TunnelEnd::PurgeFailed => Next::Dial(Failure::Lost),
        }
    }

    fn connected(&mut self, tunnel: &Tunnel<H>) {
        self.away = None;
        let version = &tunnel.peer().version;
        self.status.set_connected(version.clone(), tunnel.requests());
        tracing::info!(edge = %self.edge.id, address = %self.edge.address, %version, "tunnel up");
    }

    /// Warns when the state changes, and not at each try.
    fn dial_failed(&mut self, error: &DialError) -> Next {
        let reason = Chain(error).to_string();
        let failure = if error.is_worth_retrying_soon() { Failure::Unreachable } else { Failure::Refused };
        if let Some(away) = &mut self.away
            && away.warned != Some(failure)
            && (failure == Failure::Refused || away.since.elapsed() >= AWAY_UNNOTICED)
        {
            away.warned = Some(failure);
            tracing::warn!(edge = %self.edge.id, address = %self.edge.address, %reason, "no tunnel to this Edge");
        }
        if error.is_incompatible() {
            self.status.set_incompatible(reason);
        } else {
            self.status.set_dialing(reason);
        }
        Next::Dial(failure)
    }
}

impl<H> Drop for Link<H> {
    fn drop(&mut self) {
        self.core.links.fetch_sub(1, Ordering::Relaxed);
    }
}
