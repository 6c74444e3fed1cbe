//! Core is away for a day, and comes back: its process, or the network between.
//!
//! The one scenario without hosts, for no host has a clock of its own. `tests/simulation` plays the same.

#[path = "../../simulation/long_absence.rs"]
mod by_the_clock;

use std::time::Duration;

use by_the_clock::{ABSENCE, Absence, Return, play as come_back};

use crate::{ledger::Verdict, load::Tally, outcome::Outcome};

pub(crate) const NAME: &str = "long-absence";
const READY_MAX: Duration = Duration::from_secs(1);
/// A Core that has dialled in vain for long does so every 5 s.
const DIALLED_MAX: Duration = Duration::from_secs(5);

pub(crate) fn play() -> Outcome {
    let returns = [Absence::Process, Absence::Network].map(come_back);
    let slowest = |time: fn(&Return) -> Duration| returns.iter().map(time).max().unwrap_or_default();
    let (ready, dialled) = (slowest(|back| back.ready), slowest(|back| back.dialled));
    let hours = ABSENCE.as_secs() / 3_600;
    let note = format!("the first dial came within {dialled:?}");
    let outcome = Outcome::allowing_failures(NAME, &Tally::default(), Verdict::default(), Duration::ZERO);
    let target = format!("Core is away for {hours} h");
    Outcome { target, ..outcome }
        .recovered("all Edges are ready after Core's first dial", ready, READY_MAX)
        .and("same identities", returns.iter().all(|back| back.identities_are_kept), note)
        .and("Core dials within 5 s", dialled <= DIALLED_MAX, String::new())
}
