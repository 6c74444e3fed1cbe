//! Keeps exactly one link running for each Edge it was told of.
//!
//! A failing link never ends the supervisor. The set of Edges is declared whole, never edited.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use postern_proto::limits::REQUEST_BUDGET;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::timeout,
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use crate::{
    edge::{Edge, EdgeId},
    error::PurgeError,
    greeting::Greeting,
    handler::Handler,
    instance::CoreInstance,
    link::{Announcements, Core, Link, Purge},
    status::{LinkStatus, StatusCell},
    surroundings::Surroundings,
    web_certificate::{WebCertificate, WebServing},
};

/// Over the drain limit: for the Edge to see the end, and the connection to close.
const CLOSING_MAX: Duration = Duration::from_secs(2);

/// How much one tunnel may hold.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Requests served at the same time; one more is refused at once (code 8).
    pub requests_max: usize,
    /// Requests that wait for a person (remote MFA), counted on their own: more than an Edge has sockets for, since
    /// the wait of a socket that is gone lasts on.
    pub approvals_max: usize,
    /// How long a drain waits for requests in flight. Waits for a person do not hold it up.
    pub drain_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { requests_max: 256, approvals_max: 4096, drain_max: REQUEST_BUDGET }
    }
}

/// What all links share.
#[derive(Debug, Clone)]
pub struct SupervisorConfig {
    /// This run of this Core.
    pub instance: CoreInstance,
    /// Said first on each tunnel.
    pub greeting: Greeting,
    /// For each tunnel.
    pub limits: Limits,
}

/// Runs the links. A clone is another handle to the same; when the last is dropped, all links drain.
#[derive(Clone)]
pub struct Supervisor {
    shared: Arc<Shared>,
}

struct Shared {
    links: Mutex<Links>,
    greeting: watch::Sender<Greeting>,
    web: watch::Sender<WebServing>,
    limits: Limits,
    tasks: TaskTracker,
    start_link: Box<dyn Fn(Edge) -> LinkHandle + Send + Sync>,
}

#[derive(Default)]
struct Links {
    running: BTreeMap<EdgeId, LinkHandle>,
    shut_down: bool,
}

/// Dropping it makes the link drain and end.
struct LinkHandle {
    edge: Edge,
    status: Arc<StatusCell>,
    purges: mpsc::Sender<Purge>,
    _stop: DropGuard,
}

impl Supervisor {
    /// Starts with no Edges; [`Self::set_edges`] says which.
    ///
    /// # Panics
    /// Outside a tokio runtime, once there are Edges.
    #[must_use]
    pub fn start<H: Handler>(config: SupervisorConfig, handler: H) -> Self {
        Self::start_in(Surroundings::default(), config, handler)
    }

    /// The same in other surroundings than this host.
    ///
    /// # Panics
    /// Outside a tokio runtime, once there are Edges.
    #[must_use]
    pub fn start_in<H: Handler>(surroundings: Surroundings, config: SupervisorConfig, handler: H) -> Self {
        let limits = config.limits;
        let (greeting, greetings) = watch::channel(config.greeting.clone());
        let (web, web_serving) = watch::channel(WebServing::Never);
        let announcements = Announcements { greetings, web: web_serving };
        let tasks = TaskTracker::new();
        let core = Arc::new(Core::new(config, surroundings, announcements, tasks.clone(), handler));
        let start_link = Box::new(move |edge| start_link(&core, edge));
        let shared = Shared { links: Mutex::default(), greeting, web, limits, tasks, start_link };
        Self { shared: Arc::new(shared) }
    }

    /// Starts the links that are missing, ends those that are not named (they drain), and
    /// restarts those whose Edge has changed. Does nothing after [`Self::shutdown`].
    pub fn set_edges(&self, edges: Vec<Edge>) {
        self.with(|links| {
            if links.shut_down {
                return;
            }
            let named: BTreeSet<_> = edges.iter().map(|edge| edge.id).collect();
            links.running.retain(|id, _| named.contains(id));
            for edge in edges {
                if links.running.get(&edge.id).is_none_or(|link| link.edge != edge) {
                    links.running.insert(edge.id, (self.shared.start_link)(edge));
                }
            }
        });
    }

    /// Pushes other session keys to all Edges, now and on each new tunnel. The same keys are not sent again.
    pub fn set_greeting(&self, greeting: Greeting) {
        self.shared.greeting.send_if_modified(|sent| {
            let differs = *sent != greeting;
            *sent = greeting;
            differs
        });
    }

    /// Says which certificate Edges show to browsers, if any: to all Edges now, and on each new tunnel after the
    /// session keys. Before the first call nothing is said to a stock Edge, as a stock Core does without one.
    pub fn set_web_certificate(&self, certificate: Option<WebCertificate>) {
        self.shared.web.send_if_modified(|serving| {
            let changed = serving.changed_to(certificate);
            let differs = *serving != changed;
            *serving = changed;
            differs
        });
    }

    /// How each link is doing, by id.
    #[must_use]
    pub fn statuses(&self) -> Vec<LinkStatus> {
        self.with(|links| links.running.iter().map(|(id, link)| link.status.read(*id)).collect())
    }

    /// Makes an Edge forget its identity: it is told to send nothing new, what is in flight is
    /// answered, and it goes back to adoption. Its link then ends; leave the Edge out of the next
    /// [`Self::set_edges`]. After an error the link goes on.
    ///
    /// # Errors
    /// [`PurgeError`] says whether the Edge may have forgotten it nevertheless.
    pub async fn purge(&self, edge: EdgeId) -> Result<(), PurgeError> {
        let purges = self.with(|links| links.running.get(&edge).map(|link| link.purges.clone()));
        let purges = purges.ok_or(PurgeError::NotConnected(edge))?;
        let (done, outcome) = oneshot::channel();
        purges.send(Purge { done }).await.map_err(|_| PurgeError::NotConnected(edge))?;
        outcome.await.unwrap_or(Err(PurgeError::TunnelLost(edge)))
    }

    /// Ends all links, for good: Edges are told, what is in flight is answered, tunnels end.
    /// Takes at most the drain limit and two seconds.
    pub async fn shutdown(&self) {
        self.with(|links| {
            links.shut_down = true;
            links.running.clear();
        });
        self.shared.tasks.close();
        if timeout(self.shared.limits.drain_max + CLOSING_MAX, self.shared.tasks.wait()).await.is_err() {
            tracing::warn!(tasks = self.shared.tasks.len(), "links were cut off after the drain limit");
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Links) -> T) -> T {
        act(&mut self.shared.links.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervisor").field("links", &self.statuses()).finish()
    }
}

fn start_link<H: Handler>(core: &Arc<Core<H>>, edge: Edge) -> LinkHandle {
    let stop = CancellationToken::new();
    let (purges, purge_requests) = mpsc::channel(1);
    let status = Arc::new(StatusCell::dialing());
    let link = Link::new(edge.clone(), Arc::clone(core), Arc::clone(&status), stop.clone(), purge_requests);
    core.tasks.spawn(link.run());
    LinkHandle { edge, status, purges, _stop: stop.drop_guard() }
}
