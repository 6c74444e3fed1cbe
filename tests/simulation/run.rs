//! One run: builds the hosts, lets time pass, does harm when it is due, and looks at what is left.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use postern_core_link::Limits;
use tokio::task::JoinSet;
use turmoil::{Builder, Sim};

use crate::{
    core_host::{self, CORES},
    edge_host,
    faults::{Faults, LATENCY_MAX, LATENCY_MIN},
    identities::{EDGES, adopted, host_of},
    people::{self, PEOPLE},
    scene::{Scale, Scene},
    trace::Trace,
};

/// How far time goes in one step. Shorter is slower, and nothing here is faster than a message.
const TICK: Duration = Duration::from_millis(10);
/// No run takes longer, whatever happens in it.
const RUN_MAX: Duration = Duration::from_secs(60);

/// Few, so that it is reached.
const REQUESTS_MAX: usize = 8;
/// Connections that an Edge has not accepted yet, and messages of each on their way: enough for a crowd.
const TCP_CAPACITY: usize = 1_024;

/// tokio numbers the tasks of a process, and a runtime that ends drops its own in an order that follows from their
/// numbers modulo a small power of two. A crash closes connections in that order.
const TASK_NUMBERS: u64 = 64;
/// So no two runs number tasks at the same time.
static ALONE: Mutex<()> = Mutex::new(());

/// Runs the schedule of a seed to its end.
pub(crate) fn run(seed: u64) -> Trace {
    let mut faults = Faults::of(seed);
    let limits = Limits { requests_max: REQUESTS_MAX, ..Limits::default() };
    let scene = Scene::new(seed, Scale { limits, links: EDGES.len() });
    drive(scene, people::run, |sim, scene| faults.apply(sim, scene))
}

/// Lets one thing happen to the hosts, and no other.
pub(crate) fn play<S>(story: impl FnOnce(Scene) -> S) -> Trace
where
    S: Future<Output = turmoil::Result> + 'static,
{
    play_with(EDGES.len(), story, |_, _| ())
}

/// The same with so many links for each Core, and with what only the world outside can do.
pub(crate) fn play_with<S>(
    links: usize,
    story: impl FnOnce(Scene) -> S,
    before_step: impl FnMut(&mut Sim<'_>, &Scene),
) -> Trace
where
    S: Future<Output = turmoil::Result> + 'static,
{
    drive(Scene::new(0, Scale { limits: Limits::default(), links }), story, before_step)
}

fn drive<S>(scene: Scene, story: impl FnOnce(Scene) -> S, mut before_step: impl FnMut(&mut Sim<'_>, &Scene)) -> Trace
where
    S: Future<Output = turmoil::Result> + 'static,
{
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // Their making numbers tasks too.
    let _made = adopted();
    align_task_numbers();
    let mut sim = build(&scene);
    sim.client(PEOPLE, story(scene.clone()));
    loop {
        scene.trace.set_now(sim.elapsed());
        before_step(&mut sim, &scene);
        match sim.step() {
            Ok(false) => scene.check_calls(),
            Ok(true) => break,
            Err(error) => {
                scene.trace.accuse(format!("the run did not end well: {error}"));
                break;
            }
        }
    }
    for (payload, effects) in scene.memory.all_effects() {
        if effects > 1 {
            scene.trace.accuse(format!("{payload} took effect {effects} times"));
        }
    }
    scene.claims.lies().into_iter().for_each(|lie| scene.trace.accuse(lie));
    scene.trace
}

/// The next task has the same number as in every other run, modulo what matters.
fn align_task_numbers() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut tasks = JoinSet::new();
    loop {
        let number = tasks.spawn_on(std::future::ready(()), runtime.handle()).id().to_string();
        let number: u64 = number.parse().expect("tasks have numbers");
        if number.is_multiple_of(TASK_NUMBERS) {
            return;
        }
    }
}

fn build(scene: &Scene) -> Sim<'static> {
    let mut sim = Builder::new()
        .rng_seed(scene.seed)
        .enable_random_order()
        .tick_duration(TICK)
        .simulation_duration(RUN_MAX)
        .min_message_latency(LATENCY_MIN)
        .max_message_latency(LATENCY_MAX)
        .tcp_capacity(TCP_CAPACITY)
        .build();
    for (number, adopted) in adopted().iter().cycle().take(scene.scale.links).enumerate() {
        let (scene, name) = (scene.clone(), host_of(number));
        sim.host(name.clone(), move || edge_host::run(scene.clone(), name.clone(), adopted.clone()));
    }
    for name in CORES {
        let scene = scene.clone();
        sim.host(name, move || core_host::run(scene.clone(), name));
    }
    sim
}
