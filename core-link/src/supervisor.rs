//! Keeps exactly one link running for each Edge it was told of.
//!
//! A failing link never ends the supervisor. The set of Edges is declared whole, never edited.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
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
    link::{Announcements, Core, Link, Purge},
    status::{LinkStatus, StatusCell},
    web_certificate::{WebCertificate, WebServing},
};

/// Over the drain limit: for the Edge to see the end, and the connection to close.
const CLOSING_MAX: Duration = Duration::from_secs(2);

/// Names one run of one Core: Edges tell its tunnels from those of another Core by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoreInstance(String);

/// A text is no instance id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an instance id has 1 to 64 visible ASCII characters")]
pub struct BadInstance;

impl CoreInstance {
    /// A new id; make one for each process.
    #[must_use]
    pub fn random() -> Self {
        Self(format!("{:032x}", rand::random::<u128>()))
    }

    /// The id as it travels.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CoreInstance {
    type Err = BadInstance;

    fn from_str(text: &str) -> Result<Self, BadInstance> {
        let fits = (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        if fits { Ok(Self(text.to_owned())) } else { Err(BadInstance) }
    }
}

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
        let (greeting, greetings) = watch::channel(config.greeting);
        let (web, web_serving) = watch::channel(WebServing::Never);
        let announcements = Announcements { greetings, web: web_serving };
        let tasks = TaskTracker::new();
        let core = Arc::new(Core::new(config.instance, config.limits, announcements, tasks.clone(), handler));
        let start_link = Box::new(move |edge| start_link(&core, edge));
        let shared = Shared { links: Mutex::default(), greeting, web, limits: config.limits, tasks, start_link };
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

    /// Pushes other session keys to all Edges, now and on each new tunnel.
    pub fn set_greeting(&self, greeting: Greeting) {
        self.shared.greeting.send_replace(greeting);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_id_is_short_and_visible() {
        assert_eq!(CoreInstance::random().as_str().len(), 32);
        assert_ne!(CoreInstance::random(), CoreInstance::random());
        assert!("6f1c-a".parse::<CoreInstance>().is_ok());
        for bad in ["", "a b", "a\n", "ä", &"x".repeat(65)] {
            assert_eq!(bad.parse::<CoreInstance>(), Err(BadInstance));
        }
    }
}
