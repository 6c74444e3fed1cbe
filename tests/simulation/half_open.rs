//! A tunnel that is dead and does not say so: in one direction, in the other, and because its Core stands still.

use std::time::Duration;

use postern_core_link::LinkState;
use postern_proto::limits::REQUEST_BUDGET;
use tokio::{
    task::JoinSet,
    time::{Instant, interval, sleep, sleep_until},
};

use crate::{
    core_host::CORES,
    faults::AVOIDED_MAX,
    identities::EDGES,
    people::{Answer, Person, eventually},
    run::play,
    scene::Scene,
};

const CORE: &str = CORES[0];
const EDGE: &str = EDGES[0];
/// From the harm on: six seconds, the look that finds out, and the way of the news.
const CLOSED_MAX: Duration = Duration::from_millis(6_500);
/// How long the network is broken, and how soon after that all is as before.
const BROKEN: Duration = Duration::from_secs(15);
const BACK_MAX: Duration = Duration::from_secs(3);
/// The budget, and one round trip.
const WAIT_MAX: Duration = Duration::from_millis(4_200);
const BETWEEN_CALLS: Duration = Duration::from_millis(20);
/// One in so many calls is slow, so that some wait when a tunnel dies.
const SLOW_EACH: usize = 10;

#[test]
fn an_edge_whose_core_does_not_hear_it_asks_the_other_and_nobody_notices() {
    suffer(|| turmoil::partition_oneway(EDGE, CORE), || turmoil::repair(EDGE, CORE));
}

#[test]
fn an_edge_that_does_not_hear_its_core_asks_the_other_and_nobody_notices() {
    suffer(|| turmoil::partition_oneway(CORE, EDGE), || turmoil::repair(EDGE, CORE));
}

/// Whatever it was sent meanwhile arrives in the end, and so does what it says to that.
#[test]
fn a_core_that_stands_still_is_not_missed_and_what_it_says_afterwards_reaches_nobody() {
    let each = |act: fn(&str, &str)| EDGES.iter().for_each(|edge| act(CORE, edge));
    suffer(move || each(|a, b| turmoil::hold(a, b)), move || each(|a, b| turmoil::release(a, b)));
}

fn suffer(harm: impl FnOnce() + 'static, heal: impl FnOnce() + 'static) {
    let trace = play(|scene| story(scene, harm, heal));
    assert!(trace.violations().is_empty(), "{:#?}\n{}", trace.violations(), trace.events().join("\n"));
}

async fn story(scene: Scene, harm: impl FnOnce(), heal: impl FnOnce()) -> turmoil::Result {
    let both_are_up = || {
        let edges = scene.registries();
        edges.len() == EDGES.len() && edges.iter().all(|edge| edge.tunnel_count() == CORES.len())
    };
    eventually(&scene, Duration::from_secs(3), "every link is up", both_are_up).await;
    let mut calling = JoinSet::new();
    calling.spawn(call_all_the_time(scene.clone()));
    sleep(Duration::from_secs(2)).await;
    harm();
    let (harmed, begun) = (scene.trace.now(), Instant::now());
    let is_avoided = || !scene.relies_on(EDGE, CORE);
    eventually(&scene, harmed + AVOIDED_MAX, "the tunnel is avoided", is_avoided).await;
    let is_closed = || scene.registry(EDGE).is_some_and(|edge| edge.tunnel_count() == 1) && !core_has_link(&scene);
    eventually(&scene, harmed + CLOSED_MAX, "the tunnel is closed at both ends", is_closed).await;
    sleep_until(begun + BROKEN).await;
    heal();
    let by = scene.trace.now() + BACK_MAX;
    let is_back = || both_are_up() && scene.relies_on(EDGE, CORE) && core_has_link(&scene);
    eventually(&scene, by, "the tunnel is back", is_back).await;
    sleep(Duration::from_secs(2)).await;
    calling.shutdown().await;
    Ok(())
}

fn core_has_link(scene: &Scene) -> bool {
    let links = scene.supervisors_of(CORE).into_iter().flat_map(|core| core.statuses());
    links.into_iter().any(|link| link.edge.0 == 1 && matches!(link.state, LinkState::Connected { .. }))
}

async fn call_all_the_time(scene: Scene) {
    let mut calls = JoinSet::new();
    let mut ticks = interval(BETWEEN_CALLS);
    for number in 0.. {
        ticks.tick().await;
        let work = Duration::from_millis(if number % SLOW_EACH == 0 { 1_000 } else { 5 });
        calls.spawn(call(number, work, scene.clone()));
        while calls.try_join_next().is_some() {}
    }
}

async fn call(number: usize, work: Duration, scene: Scene) {
    let begun = Instant::now();
    let person = Person::calm(format!("call-{number}"), work, &scene);
    let answer = person.ask_patiently(EDGE, begun + REQUEST_BUDGET).await;
    if !matches!(answer, Answer::Status(200, _)) || begun.elapsed() > WAIT_MAX {
        scene.trace.accuse(format!("call {number} got {answer:?} after {:?}", begun.elapsed()));
    }
}
