//! An Edge's live tunnels: which there are, and which one the next request takes.
//!
//! A tunnel is in the registry as long as its lease lives. Readiness is derived from it and from the
//! session keys, never stored.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use arc_swap::{ArcSwap, ArcSwapOption};
use http::HeaderValue;
use metrics::Gauge;
use postern_proto::{link::Draining, proxy::core_request::Payload, version::Peer};
use rand::Rng as _;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{CoreSource, Tunnel, in_flight::InFlight, push::SessionKeys};
use bytes::Bytes;

/// What `GET /api/v1/info` says of this Edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerState {
    /// No Core has adopted it.
    Setup,
    /// Adopted, and no tunnel is up.
    Disconnected,
    /// At least one tunnel is up.
    Connected,
}

/// The live tunnels. Clones share them.
#[derive(Debug, Clone)]
pub struct TunnelRegistry {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    keys: SessionKeys,
    /// What `pick` reads: rebuilt on each change, so that a request takes no lock.
    view: ArcSwap<View>,
    /// Held while `view` is rebuilt.
    changing: Mutex<()>,
    numbers: AtomicU64,
    adopted: AtomicBool,
    leaving: AtomicBool,
    core_version: ArcSwapOption<CoreVersion>,
    tunnels_gauge: Gauge,
    in_flight_gauge: Gauge,
}

#[derive(Debug)]
struct CoreVersion {
    text: Arc<str>,
    header: HeaderValue,
}

#[derive(Debug, Default)]
struct View {
    /// Every tunnel, oldest first.
    all: Vec<Arc<Tunnel>>,
    /// Those that take new requests: the newest of each Core, unless it drains.
    eligible: Vec<Arc<Tunnel>>,
}

impl View {
    fn of(all: Vec<Arc<Tunnel>>) -> Self {
        let is_newest = |at: usize| !all[at + 1..].iter().any(|later| later.source == all[at].source);
        let eligible = (0..all.len()).filter(|&at| is_newest(at) && !all[at].is_draining());
        let eligible = eligible.map(|at| Arc::clone(&all[at])).collect();
        Self { all, eligible }
    }
}

impl TunnelRegistry {
    /// An empty registry. Metrics are registered here: install the recorder before.
    #[must_use]
    pub fn new(keys: SessionKeys) -> Self {
        let shared = Shared {
            keys,
            view: ArcSwap::default(),
            changing: Mutex::default(),
            numbers: AtomicU64::new(1),
            adopted: AtomicBool::new(false),
            leaving: AtomicBool::new(false),
            core_version: ArcSwapOption::empty(),
            tunnels_gauge: metrics::gauge!("postern_edge_tunnels"),
            in_flight_gauge: metrics::gauge!("postern_edge_requests_in_flight"),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The tunnel for the next request: of two random ones the less busy. One that has fallen
    /// silent is only taken when no other is left.
    pub(crate) fn pick(&self) -> Option<Arc<Tunnel>> {
        let view = self.shared.view.load();
        match view.eligible.as_slice() {
            [] => None,
            [only] => Some(Arc::clone(only)),
            several => Some(Arc::clone(pick_of_two(several))),
        }
    }

    /// Enters a tunnel; it stays until the lease is dropped.
    pub(crate) fn insert(&self, peer: &Peer, outgoing: mpsc::WeakSender<Bytes>) -> Lease {
        let tunnel = Arc::new(Tunnel {
            number: self.shared.numbers.fetch_add(1, Ordering::Relaxed),
            source: CoreSource::from(peer),
            speaks_link: peer.speaks_link,
            in_flight: InFlight::default(),
            outgoing,
            draining: AtomicBool::new(false),
            silent: AtomicBool::new(false),
            ending: CancellationToken::new(),
        });
        self.remember_version(peer);
        self.change(|all| all.push(Arc::clone(&tunnel)));
        if self.shared.leaving.load(Ordering::SeqCst) {
            say_goodbye(&tunnel);
        }
        Lease { registry: self.clone(), tunnel }
    }

    /// A tunnel is up.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.tunnel_count() > 0
    }

    /// How many tunnels are up.
    #[must_use]
    pub fn tunnel_count(&self) -> usize {
        self.shared.view.load().all.len()
    }

    /// Requests can be served: a tunnel takes them, and cookies can be sealed.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.shared.view.load().eligible.is_empty() && self.shared.keys.is_held()
    }

    /// Requests in flight on all tunnels.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.shared.view.load().all.iter().map(|tunnel| tunnel.load()).sum()
    }

    /// Waits for persons on all tunnels.
    #[must_use]
    pub fn waits(&self) -> usize {
        self.shared.view.load().all.iter().map(|tunnel| tunnel.waits()).sum()
    }

    /// The version that Core last announced; kept after a loss, forgotten on Purge.
    #[must_use]
    pub fn core_version(&self) -> Option<Arc<str>> {
        self.shared.core_version.load().as_ref().map(|version| Arc::clone(&version.text))
    }

    /// [`Self::core_version`] as a header value, made once for all responses.
    #[must_use]
    pub fn core_version_header(&self) -> Option<HeaderValue> {
        self.shared.core_version.load().as_ref().map(|version| version.header.clone())
    }

    #[must_use]
    pub fn server_state(&self) -> ServerState {
        if self.is_connected() {
            ServerState::Connected
        } else if self.shared.adopted.load(Ordering::Relaxed) {
            ServerState::Disconnected
        } else {
            ServerState::Setup
        }
    }

    /// Tells every Core, also one that dials later, that this Edge is about to leave. Requests are
    /// still served.
    pub fn announce_leaving(&self) {
        self.shared.leaving.store(true, Ordering::SeqCst);
        for tunnel in &self.shared.view.load().all {
            say_goodbye(tunnel);
        }
    }

    /// Ends every tunnel; what is in flight is lost.
    pub(crate) fn end_all(&self) {
        for tunnel in &self.shared.view.load().all {
            tunnel.ending.cancel();
        }
    }

    pub(crate) fn set_adopted(&self, adopted: bool) {
        self.shared.adopted.store(adopted, Ordering::Relaxed);
    }

    /// After a Purge nothing of the Core is left.
    pub(crate) fn forget_core(&self) {
        self.set_adopted(false);
        self.shared.core_version.store(None);
        self.shared.keys.clear();
    }

    pub(crate) fn keys(&self) -> &SessionKeys {
        &self.shared.keys
    }

    pub(crate) fn measure(&self) {
        self.shared.in_flight_gauge.set(self.in_flight() as f64);
    }

    fn remember_version(&self, peer: &Peer) {
        let text = peer.version.to_string();
        let Ok(header) = HeaderValue::from_str(&text) else { return };
        self.shared.core_version.store(Some(Arc::new(CoreVersion { text: text.into(), header })));
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Arc<Tunnel>>)) {
        let _changing = self.lock();
        let mut all = self.shared.view.load().all.clone();
        change(&mut all);
        self.shared.tunnels_gauge.set(all.len() as f64);
        self.shared.view.store(Arc::new(View::of(all)));
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.shared.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A tunnel's place in the registry. Dropping it takes the tunnel out and fails its callers.
#[derive(Debug)]
pub(crate) struct Lease {
    registry: TunnelRegistry,
    tunnel: Arc<Tunnel>,
}

impl Lease {
    pub(crate) fn tunnel(&self) -> &Arc<Tunnel> {
        &self.tunnel
    }

    pub(crate) fn registry(&self) -> &TunnelRegistry {
        &self.registry
    }

    /// Core wants nothing new on this tunnel.
    pub(crate) fn drain(&self) {
        self.tunnel.draining.store(true, Ordering::Relaxed);
        self.registry.change(|_| ());
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let number = self.tunnel.number;
        self.registry.change(|all| all.retain(|tunnel| tunnel.number != number));
        // After that nobody new picks it; whoever did just now finds it closed.
        self.tunnel.in_flight.close();
        let source = &self.tunnel.source;
        if !self.registry.shared.view.load().all.iter().any(|tunnel| tunnel.source == *source) {
            self.registry.shared.keys.depart(source);
        }
    }
}

fn pick_of_two(several: &[Arc<Tunnel>]) -> &Arc<Tunnel> {
    let mut random = rand::rng();
    let first = random.random_range(0..several.len());
    let second = (first + random.random_range(1..several.len())) % several.len();
    let better = several.iter().min_by_key(|tunnel| tunnel.is_silent());
    let (first, second) = (&several[first], &several[second]);
    match (first.is_silent(), second.is_silent()) {
        (true, true) => better.unwrap_or(first),
        (true, false) => second,
        (false, true) => first,
        (false, false) if second.load() < first.load() => second,
        (false, false) => first,
    }
}

fn say_goodbye(tunnel: &Tunnel) {
    if let Err(error) = tunnel.tell(Payload::Draining(Draining {})) {
        tracing::debug!(tunnel = tunnel.number, %error, "cannot tell core that this edge leaves");
    }
}
