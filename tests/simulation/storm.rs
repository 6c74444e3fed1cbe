//! Every link of every Core is lost in one moment.

use std::{collections::BTreeMap, time::Duration};

use postern_core_link::LinkState;
use tokio::time::sleep;

use crate::{core_host::CORES, identities::host_of, people::eventually, run::play_with, scene::Scene};

const LINKS: usize = 100;
/// Handshakes take no time here.
const UP_MAX: Duration = Duration::from_secs(2);
const BACK_MAX: Duration = Duration::from_secs(3);
const SPAN: Duration = Duration::from_millis(100);
/// No span holds a larger part of all attempts.
const PART: usize = 4;
/// Of one Core at one Edge.
const ATTEMPTS_MAX: usize = 5;

#[test]
fn a_hundred_links_of_each_core_that_have_lasted_come_back_spread_out() {
    storm_at(Duration::from_secs(10));
}

#[test]
fn a_hundred_links_of_each_core_that_were_young_come_back_spread_out() {
    storm_at(Duration::from_secs(3));
}

fn storm_at(lost: Duration) {
    let mut is_over = false;
    let trace = play_with(
        LINKS,
        move |scene| story(scene, lost),
        |sim, scene| {
            if sim.elapsed() >= lost && !std::mem::replace(&mut is_over, true) {
                scene.trace.note("storm", "every Edge is gone and back");
                (0..LINKS).for_each(|edge| sim.crash(host_of(edge)));
                (0..LINKS).for_each(|edge| sim.bounce(host_of(edge)));
            }
        },
    );
    assert!(trace.violations().is_empty(), "{:#?}", trace.violations());
}

async fn story(scene: Scene, lost: Duration) -> turmoil::Result {
    eventually(&scene, UP_MAX, "every link is up", || up(&scene) == LINKS * CORES.len()).await;
    while scene.trace.now() < lost + SPAN {
        sleep(SPAN).await;
    }
    eventually(&scene, lost + BACK_MAX, "every link is back", || up(&scene) == LINKS * CORES.len()).await;
    sleep(BACK_MAX).await;

    let attempts = scene.dials.since(lost);
    let (mut by_link, mut by_span) = (BTreeMap::<_, usize>::new(), BTreeMap::<_, usize>::new());
    for attempt in &attempts {
        *by_link.entry((attempt.core, attempt.link)).or_default() += 1;
        *by_span.entry(attempt.at.as_millis() / SPAN.as_millis()).or_default() += 1;
    }
    if by_link.len() < LINKS * CORES.len() || by_link.values().any(|attempts| *attempts > ATTEMPTS_MAX) {
        scene.trace.accuse(format!("attempts of each link: {by_link:?}"));
    }
    if by_span.values().any(|attempts| attempts * PART > by_link.len()) {
        scene.trace.accuse(format!("attempts within {SPAN:?}: {by_span:?}"));
    }
    Ok(())
}

fn up(scene: &Scene) -> usize {
    let links = scene.supervisors().into_iter().flat_map(|core| core.statuses());
    links.filter(|link| matches!(link.state, LinkState::Connected { .. })).count()
}
