//! What came of a scenario, as one line.

use std::{collections::BTreeMap, fmt, time::Duration};

use crate::{ledger::Verdict, load::Tally};

/// Counts, waits, and whether they are within the target.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) scenario: String,
    pub(crate) sent: usize,
    pub(crate) failed: usize,
    pub(crate) duplicates: usize,
    pub(crate) worst: Duration,
    pub(crate) recovery: Duration,
    /// In words, without an equals sign.
    pub(crate) target: String,
    pub(crate) is_met: bool,
    /// Whatever else is worth a look.
    pub(crate) notes: Vec<String>,
}

impl Outcome {
    /// With no failure, no duplicate, and nobody waiting longer.
    pub(crate) fn of(scenario: &str, tally: &Tally, verdict: Verdict, worst_max: Duration) -> Self {
        let Verdict { duplicates, lost } = verdict;
        // An effect that somebody was told of and that is not there is worse than an error.
        let (failed, worst) = (tally.failures().count() + lost, tally.worst());
        let mut notes = reasons(tally);
        notes.extend((lost > 0).then(|| format!("{lost} effects are lost")));
        Self {
            scenario: scenario.to_owned(),
            sent: tally.samples.len(),
            failed,
            duplicates,
            worst,
            recovery: Duration::ZERO,
            target: format!("0 failed, 0 duplicates, nobody waits longer than {} ms", worst_max.as_millis()),
            is_met: failed == 0 && duplicates == 0 && worst <= worst_max,
            notes,
        }
    }

    /// It could not be played to its end.
    pub(crate) fn unplayed(scenario: &str, why: String) -> Self {
        Self {
            scenario: scenario.to_owned(),
            sent: 0,
            failed: 0,
            duplicates: 0,
            worst: Duration::ZERO,
            recovery: Duration::ZERO,
            target: "it can be played".to_owned(),
            is_met: false,
            notes: vec![why],
        }
    }

    /// The same, and this is over in time.
    #[must_use]
    pub(crate) fn recovered(mut self, what: &str, recovery: Duration, max: Duration) -> Self {
        self.target += &format!(", {what} within {} ms", max.as_millis());
        self.is_met &= recovery <= max;
        self.recovery = recovery;
        self
    }

    /// The same, if this holds too.
    #[must_use]
    pub(crate) fn and(mut self, what: &str, holds: bool, note: String) -> Self {
        self.target += &format!(", {what}");
        self.is_met &= holds;
        self.notes.push(note);
        self
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scenario, sent, failed, duplicates, target, .. } = self;
        let (worst, recovery) = (self.worst.as_millis(), self.recovery.as_millis());
        write!(
            f,
            "scenario={scenario} sent={sent} failed={failed} dup={duplicates} worst_ms={worst} recover_ms={recovery} \
             | target: {target}"
        )
    }
}

/// What went wrong, the same things together.
fn reasons(tally: &Tally) -> Vec<String> {
    const REASON_MAX: usize = 160;
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for (step, failure) in tally.failures() {
        // Without what differs from one answer to the next.
        let reason = failure.split("\"request_id\"").next().unwrap_or_default();
        *reasons.entry(format!("{step}: {}", reason.chars().take(REASON_MAX).collect::<String>())).or_default() += 1;
    }
    reasons.into_iter().map(|(reason, times)| format!("{times} times {reason}")).collect()
}
