//! An Edge's live tunnels: which there are, and which one the next request takes.
//!
//! A tunnel is in the registry as long as its lease lives. Readiness is derived from it and from the
//! session keys, never stored.

mod lease;
#[cfg(feature = "testing")]
mod looking;

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use arc_swap::{ArcSwap, ArcSwapOption};
use http::HeaderValue;
use metrics::Gauge;
use postern_proto::{
    link::Draining,
    proxy::core_request::Payload,
    version::{Peer, Zone},
};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

pub(crate) use self::lease::Lease;
use super::{
    CoreSource, Tunnel,
    decisions::Decisions,
    in_flight::InFlight,
    pace::{Pace, Patience},
    push::SessionKeys,
    standing::Standings,
    view::{Rank, View},
};
use crate::chance::Chance;
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
    zone: Option<Zone>,
    chance: Chance,
    /// What `pick` reads: rebuilt on each change, so that a request takes no lock.
    view: ArcSwap<View>,
    /// Held while `view` is rebuilt.
    changing: Mutex<Standings>,
    numbers: AtomicU64,
    adopted: AtomicBool,
    leaving: AtomicBool,
    core_version: ArcSwapOption<CoreVersion>,
    tunnels_gauge: Gauge,
    in_flight_gauge: Gauge,
    decisions: Arc<Decisions>,
}

/// Why no tunnel is taken for a new request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotPicked {
    /// None is up that takes requests.
    None,
    /// On each the request would wait too long.
    Busy,
}

#[derive(Debug)]
struct CoreVersion {
    text: Arc<str>,
    header: HeaderValue,
}

impl TunnelRegistry {
    /// An empty registry. Metrics are registered here: install the recorder before.
    #[must_use]
    pub fn new(keys: SessionKeys) -> Self {
        Self::build(keys, None, Chance::default())
    }

    /// The same for an Edge that prefers the Cores of its own zone.
    #[must_use]
    pub fn in_zone(keys: SessionKeys, zone: Option<Zone>) -> Self {
        Self::build(keys, zone, Chance::default())
    }

    /// The same with another source of random choices.
    #[must_use]
    pub fn with_chance(keys: SessionKeys, chance: Chance) -> Self {
        Self::build(keys, None, chance)
    }

    fn build(keys: SessionKeys, zone: Option<Zone>, chance: Chance) -> Self {
        let shared = Shared {
            keys,
            zone,
            chance,
            view: ArcSwap::default(),
            changing: Mutex::default(),
            numbers: AtomicU64::new(1),
            adopted: AtomicBool::new(false),
            leaving: AtomicBool::new(false),
            core_version: ArcSwapOption::empty(),
            tunnels_gauge: metrics::gauge!("postern_edge_tunnels"),
            in_flight_gauge: metrics::gauge!("postern_edge_requests_in_flight"),
            decisions: Arc::new(Decisions::new()),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The tunnel for a new request: of two random ones among the best, the less busy. When it would wait there
    /// for too long, one where it would not.
    pub(crate) fn pick(&self, patience: Patience) -> Result<Arc<Tunnel>, NotPicked> {
        let view = self.shared.view.load();
        let best = view.pick(&self.shared.chance, |_| true).ok_or(NotPicked::None)?;
        let chosen = if best.has_time(patience) {
            best
        } else {
            // A Core that is in trouble does not get what others have no time for.
            let worst = best.rank().max(Rank::Far);
            let free = |tunnel: &Tunnel| tunnel.rank() <= worst && tunnel.has_time(patience);
            view.pick(&self.shared.chance, free).ok_or(NotPicked::Busy)?
        };
        self.note_zone(chosen);
        Ok(Arc::clone(chosen))
    }

    /// The tunnel for a request that was tried before: the best of those that fit, however busy.
    pub(crate) fn pick_where(&self, fits: impl Fn(&Tunnel) -> bool) -> Option<Arc<Tunnel>> {
        self.shared.view.load().pick(&self.shared.chance, fits).map(Arc::clone)
    }

    /// Enters a tunnel; it stays until the lease is dropped.
    pub(crate) fn insert(&self, peer: &Peer, outgoing: mpsc::WeakSender<Bytes>) -> Lease {
        let source = CoreSource::from(peer);
        let tunnel = Arc::new(Tunnel {
            number: self.shared.numbers.fetch_add(1, Ordering::Relaxed),
            standing: self.lock().of(&source),
            source,
            speaks_link: peer.speaks_link,
            near: self.shared.zone.is_none() || self.shared.zone == peer.zone,
            in_flight: InFlight::default(),
            polls: Arc::default(),
            pace: Pace::new(Instant::now()),
            decisions: Arc::clone(&self.shared.decisions),
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

    pub(crate) fn decisions(&self) -> &Decisions {
        &self.shared.decisions
    }

    pub(crate) fn measure(&self) {
        self.shared.in_flight_gauge.set(self.in_flight() as f64);
    }

    fn note_zone(&self, tunnel: &Tunnel) {
        if !tunnel.near {
            self.shared.decisions.to_other_zones.increment(1);
            tracing::debug!(tunnel = tunnel.number, core = %tunnel.source, "a request goes to another zone");
        }
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

    fn lock(&self) -> MutexGuard<'_, Standings> {
        self.shared.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn say_goodbye(tunnel: &Tunnel) {
    if let Err(error) = tunnel.tell(Payload::Draining(Draining {})) {
        tracing::debug!(tunnel = tunnel.number, %error, "cannot tell core that this edge leaves");
    }
}
