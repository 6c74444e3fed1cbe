//! Which seeds are run, and what must hold for each.

use std::env;

use crate::{run::run, trace::Trace};

/// How many tests share the seeds, so that they run beside each other.
const PARTS: u64 = 16;
const SEEDS: u64 = 1_000;
/// Events that are printed of a run that failed.
const EVENTS_MAX: usize = 400;

/// Violates nothing, or says how to see it again.
fn check(seed: u64) -> Trace {
    let trace = run(seed);
    let violations = trace.violations();
    assert!(
        violations.is_empty(),
        "seed {seed} broke {violations:#?}\n{}\nagain: POSTERN_SIMULATION_SEED={seed} cargo nextest run -p postern-tests \
         --test simulation the_seed_that_was_asked_for --no-capture",
        tail(&trace)
    );
    trace
}

fn check_part(part: u64) {
    let (first, seeds) = (number("POSTERN_SIMULATION_FIRST", 0), number("POSTERN_SIMULATION_SEEDS", SEEDS));
    let each = seeds.div_ceil(PARTS);
    for seed in first + part * each..first + (part + 1) * each {
        check(seed);
    }
}

fn tail(trace: &Trace) -> String {
    let events = trace.events();
    events[events.len().saturating_sub(EVENTS_MAX)..].join("\n")
}

fn number(variable: &str, otherwise: u64) -> u64 {
    env::var(variable).map_or(otherwise, |text| text.parse().expect("a number"))
}

macro_rules! parts {
    ($($name:ident $part:literal)*) => {
        $(#[test]
        fn $name() {
            check_part($part);
        })*
    };
}

parts! {
    no_schedule_of_the_first_part_breaks_a_promise 0
    no_schedule_of_the_second_part_breaks_a_promise 1
    no_schedule_of_the_third_part_breaks_a_promise 2
    no_schedule_of_the_fourth_part_breaks_a_promise 3
    no_schedule_of_the_fifth_part_breaks_a_promise 4
    no_schedule_of_the_sixth_part_breaks_a_promise 5
    no_schedule_of_the_seventh_part_breaks_a_promise 6
    no_schedule_of_the_eighth_part_breaks_a_promise 7
    no_schedule_of_the_ninth_part_breaks_a_promise 8
    no_schedule_of_the_tenth_part_breaks_a_promise 9
    no_schedule_of_the_eleventh_part_breaks_a_promise 10
    no_schedule_of_the_twelfth_part_breaks_a_promise 11
    no_schedule_of_the_thirteenth_part_breaks_a_promise 12
    no_schedule_of_the_fourteenth_part_breaks_a_promise 13
    no_schedule_of_the_fifteenth_part_breaks_a_promise 14
    no_schedule_of_the_sixteenth_part_breaks_a_promise 15
}

#[test]
fn the_seed_that_was_asked_for() {
    let trace = check(number("POSTERN_SIMULATION_SEED", 0));
    for event in trace.events() {
        println!("{event}");
    }
}

#[test]
fn the_same_seed_twice_gives_the_same_trace() {
    for seed in 0..20 {
        let (first, second) = (run(seed), run(seed));
        let differs = first.events().into_iter().zip(second.events()).find(|(first, second)| first != second);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(first.digest(), second.digest(), "seed {seed}");
    }
}

#[test]
fn what_goes_wrong_does_reach_the_requests() {
    let traces: Vec<_> = (0..40).map(run).collect();
    for what in [
        "200 done/",
        "502 lost",
        "503 no-tunnel",
        "503 unavailable",
        "504 late",
        "replayed",
        "rolled back",
        "the caller left",
    ] {
        assert!(traces.iter().any(|trace| trace.count(what) > 0), "in none of 40 runs: {what}");
    }
}
