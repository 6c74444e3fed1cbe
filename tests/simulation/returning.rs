//! What must hold when Core was away for long.

use std::time::Duration;

use crate::long_absence::{Absence, Return, play};

const READY_MAX: Duration = Duration::from_secs(1);

#[test]
fn after_a_day_without_a_core_every_edge_is_ready_within_a_second_of_the_first_dial() {
    let back = play(Absence::Process);
    check(back);
    assert!(back.dialled < Duration::from_millis(10), "{back:?}");
}

#[test]
fn a_core_that_dialled_in_vain_for_a_day_dials_within_five_seconds_of_the_network() {
    let back = play(Absence::Network);
    check(back);
    assert!(back.dialled <= Duration::from_secs(5), "{back:?}");
}

fn check(back: Return) {
    assert!(back.ready <= READY_MAX && back.identities_are_kept, "{back:?}");
}
