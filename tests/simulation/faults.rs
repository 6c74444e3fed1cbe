//! What goes wrong in one run, and when: a pure function of the seed.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use turmoil::Sim;

use crate::{
    core_host::CORES,
    identities::EDGES,
    people::PEOPLE,
    scene::{Dice, Order, Scene},
};

/// When the last fault has ended.
pub(crate) const HEALED: Duration = Duration::from_secs(6);
/// Nothing is wrong before: links come up.
const BEGIN_MS: u64 = 300;
const END_MS: u64 = 5_000;
const FAULTS_MAX: usize = 7;
/// How long a message takes from host to host when nothing is wrong.
pub(crate) const LATENCY_MIN: Duration = Duration::from_millis(1);
pub(crate) const LATENCY_MAX: Duration = Duration::from_millis(20);

/// A tunnel over a network that lets nothing through in one direction at least is avoided after that much.
pub(crate) const AVOIDED_MAX: Duration = Duration::from_secs(3);

type Pair = (&'static str, &'static str);

#[derive(Debug, Clone, Copy)]
enum Act {
    /// As by SIGKILL: peers see the end of their connections, if anything reaches them.
    Crash(&'static str),
    /// As by SIGTERM.
    Leave(&'static str),
    Start(&'static str),
    /// Messages wait, and all arrive later.
    Hold(Pair),
    Release(Pair),
    /// Messages are lost, and are not sent again: what ran over the link never recovers by itself.
    Cut(Pair),
    CutOneWay(Pair),
    Repair(Pair),
    /// The tunnel between a Core and an Edge ends, and nothing else does.
    Reset(Pair),
    Slow(Pair, Duration),
    JumpClock(&'static str, Duration),
}

/// What is still to come.
#[derive(Debug)]
pub(crate) struct Faults {
    /// Latest first.
    acts: Vec<(Duration, Act)>,
    /// To be started as soon as they have ended.
    starting: BTreeSet<&'static str>,
    /// Since when a Core and an Edge do not both hear each other.
    parted: BTreeMap<Pair, Duration>,
}

impl Faults {
    pub(crate) fn of(seed: u64) -> Self {
        let dice = Dice::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut acts = Vec::new();
        for _ in 0..=dice.below(FAULTS_MAX) {
            let at = dice.millis(BEGIN_MS, END_MS);
            let end = (at + dice.millis(50, 4_000)).min(HEALED);
            acts.extend(fault(&dice, at, end));
        }
        acts.extend(heal());
        // The sort is stable, and so the same acts come in the same order each time.
        acts.sort_by_key(|(at, _)| *at);
        acts.reverse();
        Self { acts, starting: BTreeSet::new(), parted: BTreeMap::new() }
    }

    /// Does what is due.
    pub(crate) fn apply(&mut self, sim: &mut Sim<'_>, scene: &Scene) {
        while let Some((_, act)) = self.acts.pop_if(|(at, _)| *at <= sim.elapsed()) {
            scene.trace.note("faults", format_args!("{act:?}"));
            self.note_parted(act, sim.elapsed());
            self.act(act, sim, scene);
        }
        self.check_parted(sim.elapsed(), scene);
        self.starting.retain(|host| {
            let still_leaves = sim.is_host_running(*host);
            if !still_leaves {
                sim.bounce(*host);
            }
            still_leaves
        });
    }

    fn note_parted(&mut self, act: Act, now: Duration) {
        match act {
            Act::Hold(pair) | Act::Cut(pair) | Act::CutOneWay(pair) => {
                if let Some(tunnel) = tunnel_between(pair) {
                    self.parted.entry(tunnel).or_insert(now);
                }
            }
            Act::Release(pair) | Act::Repair(pair) => {
                self.parted.remove(&pair);
            }
            Act::Crash(_) | Act::Leave(_) | Act::Start(_) | Act::Reset(_) | Act::Slow(..) | Act::JumpClock(..) => {}
        }
    }

    fn check_parted(&mut self, now: Duration, scene: &Scene) {
        self.parted.retain(|(core, edge), since| {
            let is_due = now >= *since + AVOIDED_MAX;
            if is_due && scene.relies_on(edge, core) {
                scene
                    .trace
                    .accuse(format!("{edge} relies on {core}, and they have not heard each other since {since:?}"));
            }
            !is_due
        });
    }

    fn act(&mut self, act: Act, sim: &mut Sim<'_>, scene: &Scene) {
        match act {
            Act::Crash(host) => {
                self.starting.remove(host);
                sim.crash(host);
            }
            Act::Leave(host) if sim.is_host_running(host) => {
                self.starting.remove(host);
                scene.order(host, Order::Leave);
            }
            Act::JumpClock(host, by) if sim.is_host_running(host) => scene.order(host, Order::JumpClock(by)),
            // A host that is down does nothing.
            Act::Leave(_) | Act::JumpClock(..) => {}
            Act::Start(host) => {
                self.starting.insert(host);
            }
            Act::Hold((a, b)) => sim.hold(a, b),
            Act::Release((a, b)) => sim.release(a, b),
            Act::Cut((a, b)) => sim.partition(a, b),
            Act::CutOneWay((from, to)) => sim.partition_oneway(from, to),
            Act::Repair((a, b)) => sim.repair(a, b),
            Act::Reset((core, edge)) => {
                if let Some(link) = EDGES.iter().position(|name| *name == edge) {
                    scene.dials.reset(core, link);
                }
            }
            Act::Slow((a, b), latency) => sim.set_link_latency(a, b, latency),
        }
    }
}

fn fault(dice: &Dice, at: Duration, end: Duration) -> Vec<(Duration, Act)> {
    let (host, pair) = (*dice.one_of(&hosts()), *dice.one_of(&pairs()));
    match dice.below(10) {
        0 | 1 => vec![(at, Act::Crash(host)), (end, Act::Start(host))],
        2 => vec![(at, Act::Leave(host)), (end, Act::Start(host))],
        3 => vec![(at, Act::Hold(pair)), (end, Act::Release(pair))],
        4 => vec![(at, Act::Cut(pair)), (end, Act::Repair(pair))],
        5 => {
            let one_way = if dice.happens(0.5) { pair } else { (pair.1, pair.0) };
            vec![(at, Act::CutOneWay(one_way)), (end, Act::Repair(pair))]
        }
        6 => vec![(at, Act::Slow(pair, dice.millis(20, 600))), (end, Act::Slow(pair, LATENCY_MAX))],
        7 | 8 => vec![(at, Act::Reset((*dice.one_of(&CORES), *dice.one_of(&EDGES))))],
        _ => vec![(at, Act::JumpClock(host, dice.millis(10, 20_000)))],
    }
}

/// Core first, whichever direction it is about.
fn tunnel_between((a, b): Pair) -> Option<Pair> {
    [(a, b), (b, a)].into_iter().find(|(core, _)| CORES.contains(core))
}

/// Whatever was done last, nothing of it stays.
fn heal() -> Vec<(Duration, Act)> {
    let of_pair = |pair| [Act::Release(pair), Act::Repair(pair), Act::Slow(pair, LATENCY_MAX)];
    let links = pairs().into_iter().flat_map(of_pair);
    links.chain(hosts().into_iter().map(Act::Start)).map(|act| (HEALED, act)).collect()
}

fn hosts() -> Vec<&'static str> {
    EDGES.into_iter().chain(CORES).collect()
}

fn pairs() -> Vec<Pair> {
    EDGES.iter().flat_map(|edge| [(PEOPLE, *edge), (CORES[0], *edge), (CORES[1], *edge)]).collect()
}
