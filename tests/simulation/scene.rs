//! What everybody in one run shares: the trace, the database, orders to hosts, and what each host shows of itself.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use postern_core_link::{Limits, Supervisor};
use postern_edge::tunnel::registry::TunnelRegistry;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use tokio::time::sleep;

use crate::{claims::Claims, memory::Memory, network::Dials, trace::Trace};

/// How often a host looks for orders.
const ORDER_POLL: Duration = Duration::from_millis(20);

/// What a host is told to do by itself, as opposed to what is done to it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Order {
    /// Its clock is so much further at once, as after a suspension.
    JumpClock(Duration),
    /// End in order.
    Leave,
}

/// What each Core has and takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    pub(crate) limits: Limits,
    /// One to each Edge.
    pub(crate) links: usize,
}

/// Clones are the same scene.
#[derive(Debug, Clone)]
pub(crate) struct Scene {
    pub(crate) seed: u64,
    pub(crate) scale: Scale,
    pub(crate) dials: Dials,
    pub(crate) claims: Claims,
    pub(crate) trace: Trace,
    pub(crate) memory: Memory,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    orders: BTreeMap<String, VecDeque<Order>>,
    jumps: BTreeMap<String, u32>,
    starts: BTreeMap<String, u64>,
    registries: BTreeMap<String, TunnelRegistry>,
    supervisors: BTreeMap<String, Supervisor>,
    /// By Edge.
    calls: BTreeMap<String, usize>,
    stranded: bool,
}

/// A call that its Edge has not answered yet.
#[derive(Debug)]
pub(crate) struct OpenCall {
    edge: String,
    scene: Scene,
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        let mut state = self.scene.lock();
        if let Some(calls) = state.calls.get_mut(&self.edge) {
            *calls -= 1;
        }
    }
}

/// Numbers that follow from the seed. Clones share the source.
#[derive(Debug, Clone)]
pub(crate) struct Dice(Arc<Mutex<StdRng>>);

impl Scene {
    pub(crate) fn new(seed: u64, scale: Scale) -> Self {
        Self {
            seed,
            scale,
            dials: Dials::default(),
            claims: Claims::default(),
            trace: Trace::default(),
            memory: Memory::default(),
            state: Arc::default(),
        }
    }

    /// A host begins: how often it has, and chance of its own for this life.
    pub(crate) fn enter(&self, host: &str) -> (u64, Dice) {
        let mut state = self.lock();
        let starts = state.starts.entry(host.to_owned()).or_default();
        *starts += 1;
        let life = *starts;
        // What an earlier life was told is not for this one.
        state.orders.remove(host);
        drop(state);
        self.trace.note(host, format_args!("starts, life {life}"));
        let of_host: u64 = host.bytes().fold(0, |sum, byte| sum * 131 + u64::from(byte));
        (life, Dice::new(self.seed ^ of_host.rotate_left(32) ^ (life << 56)))
    }

    pub(crate) fn order(&self, host: &str, order: Order) {
        self.lock().orders.entry(host.to_owned()).or_default().push_back(order);
    }

    /// The next order for a host. Dropping the future loses none.
    pub(crate) async fn next_order(&self, host: &str) -> Order {
        loop {
            let order = self.lock().orders.get_mut(host).and_then(VecDeque::pop_front);
            if let Some(order) = order {
                return order;
            }
            sleep(ORDER_POLL).await;
        }
    }

    /// Carries out a jump of the clock of the host that runs now.
    pub(crate) async fn jump(&self, host: &str, by: Duration) {
        *self.lock().jumps.entry(host.to_owned()).or_default() += 1;
        tokio::time::advance(by).await;
    }

    /// How often a host's clock has jumped.
    pub(crate) fn jumps(&self, host: &str) -> u32 {
        self.lock().jumps.get(host).copied().unwrap_or(0)
    }

    pub(crate) fn open_call(&self, edge: &str) -> OpenCall {
        *self.lock().calls.entry(edge.to_owned()).or_default() += 1;
        OpenCall { edge: edge.to_owned(), scene: self.clone() }
    }

    /// Whoever waits at an Edge waits for a tunnel that is up: a lost one has failed its callers.
    pub(crate) fn check_calls(&self) {
        let mut state = self.lock();
        let in_flight = |edge| state.registries.get(edge).map_or(0, TunnelRegistry::in_flight);
        let stranded = state.calls.iter().find(|(edge, calls)| **calls > in_flight(edge.as_str()));
        if let Some((edge, calls)) = stranded
            && !state.stranded
        {
            self.trace.accuse(format!("{calls} wait at {edge}, and it asks for {}", in_flight(edge)));
            // Once is enough of it.
            state.stranded = true;
        }
    }

    pub(crate) fn show_registry(&self, host: &str, registry: TunnelRegistry) {
        self.lock().registries.insert(host.to_owned(), registry);
    }

    pub(crate) fn show_supervisor(&self, host: &str, supervisor: Supervisor) {
        // Dropped outside the lock: the last handle of an old life ends its links.
        let old = self.lock().supervisors.insert(host.to_owned(), supervisor);
        drop(old);
    }

    pub(crate) fn registries(&self) -> Vec<TunnelRegistry> {
        self.lock().registries.values().cloned().collect()
    }

    /// A tunnel between them is up, and the Edge sees no reason against it.
    pub(crate) fn relies_on(&self, edge: &str, core: &str) -> bool {
        self.lock().registries.get(edge).is_some_and(|registry| registry.relies_on(&format!("{core}-")))
    }

    pub(crate) fn registry(&self, edge: &str) -> Option<TunnelRegistry> {
        self.lock().registries.get(edge).cloned()
    }

    pub(crate) fn supervisors(&self) -> Vec<Supervisor> {
        self.lock().supervisors.values().cloned().collect()
    }

    pub(crate) fn supervisors_of(&self, core: &str) -> Option<Supervisor> {
        self.lock().supervisors.get(core).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    /// From 0 up to the bound.
    pub(crate) fn below(&self, bound: usize) -> usize {
        self.lock().random_range(0..bound)
    }

    /// From 0 to 1.
    pub(crate) fn part(&self) -> f64 {
        self.lock().random()
    }

    pub(crate) fn happens(&self, chance: f64) -> bool {
        self.part() < chance
    }

    /// Milliseconds from the first up to the last.
    pub(crate) fn millis(&self, from: u64, to: u64) -> Duration {
        Duration::from_millis(self.lock().random_range(from..to))
    }

    pub(crate) fn one_of<'a, T>(&self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    pub(crate) fn shuffled<T: Clone>(&self, of: &[T]) -> Vec<T> {
        let mut rest = of.to_vec();
        let mut shuffled = Vec::with_capacity(rest.len());
        while !rest.is_empty() {
            shuffled.push(rest.swap_remove(self.below(rest.len())));
        }
        shuffled
    }

    fn lock(&self) -> MutexGuard<'_, StdRng> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
