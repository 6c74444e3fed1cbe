//! NGINX leaves an Edge that takes long, and asks another for the same operation.

use std::time::Duration;

use tokio::time::sleep;

use crate::{people::Person, run::play, scene::Scene};

/// Longer than NGINX waits for one Edge, and shorter than a person has.
const WORK: Duration = Duration::from_secs(3);
/// Until every link is up.
const BEGIN: Duration = Duration::from_secs(1);

#[test]
fn a_slow_operation_goes_on_when_its_edge_is_left_and_the_next_edge_gets_its_reply() {
    let trace = play(story);
    assert!(trace.violations().is_empty(), "{:#?}\n{}", trace.violations(), trace.events().join("\n"));
    assert_eq!((trace.count(": begun"), trace.count(": replayed")), (1, 1), "{}", trace.events().join("\n"));
}

async fn story(scene: Scene) -> turmoil::Result {
    sleep(BEGIN).await;
    let (done, _) = Person::calm("slow".to_owned(), WORK, &scene).call().await;
    if !done {
        scene.trace.accuse("the person got no success");
    }
    Ok(())
}
