//! What came of a scenario, as one line.

use std::{collections::BTreeMap, fmt, time::Duration};

use super::{ledger::Verdict, load::Tally};

/// Counts, waits, and whether they are within the target.
#[derive(Debug)]
pub struct Outcome {
    pub scenario: String,
    pub sent: usize,
    pub failed: usize,
    pub duplicates: usize,
    pub worst: Duration,
    pub recovery: Duration,
    /// In words, without an equals sign.
    pub target: String,
    pub is_met: bool,
    /// Whatever else is worth a look.
    pub notes: Vec<String>,
}

impl Outcome {
    /// With no failure, no duplicate, and nobody waiting longer.
    pub fn of(scenario: &str, tally: &Tally, verdict: Verdict, worst_max: Duration) -> Self {
        let outcome = Self::allowing_failures(scenario, tally, verdict, worst_max);
        let (target, is_met) = (format!("0 failed, {}", outcome.target), outcome.is_met && outcome.failed == 0);
        Self { target, is_met, ..outcome }
    }

    /// With no effect lost or happening twice, and nobody waiting longer.
    pub fn allowing_failures(scenario: &str, tally: &Tally, verdict: Verdict, worst_max: Duration) -> Self {
        let Verdict { duplicates, lost, half_done } = verdict;
        // An effect that somebody was told of and that is not there is worse than an error.
        let (failed, worst) = (tally.failures().count() + lost + half_done, tally.worst());
        let mut notes = reasons(tally);
        notes.extend((lost > 0).then(|| format!("{lost} effects are lost")));
        notes.extend((half_done > 0).then(|| format!("{half_done} effects are half done")));
        Self {
            scenario: scenario.to_owned(),
            sent: tally.samples.len(),
            failed,
            duplicates,
            worst,
            recovery: Duration::ZERO,
            target: format!("0 duplicates, nobody waits longer than {} ms", worst_max.as_millis()),
            is_met: lost == 0 && half_done == 0 && duplicates == 0 && worst <= worst_max,
            notes,
        }
    }

    /// It could not be played to its end.
    pub fn unplayed(scenario: &str, why: String) -> Self {
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
    pub fn recovered(mut self, what: &str, recovery: Duration, max: Duration) -> Self {
        self.target += &format!(", {what} within {} ms", max.as_millis());
        self.is_met &= recovery <= max;
        self.recovery = recovery;
        self
    }

    /// The same, and this is worth a look.
    #[must_use]
    pub fn noting(mut self, note: String) -> Self {
        self.notes.push(note);
        self
    }

    /// The same, if this holds too.
    #[must_use]
    pub fn and(mut self, what: &str, holds: bool, note: String) -> Self {
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

/// What went wrong, the same things together, and when each first happened.
fn reasons(tally: &Tally) -> Vec<String> {
    const REASON_MAX: usize = 160;
    let Some(begun) = tally.samples.iter().map(|sample| sample.at).min() else { return Vec::new() };
    let mut reasons: BTreeMap<String, (usize, Duration)> = BTreeMap::new();
    for sample in &tally.samples {
        let Some(failure) = &sample.failure else { continue };
        // Without what differs from one answer to the next.
        let reason = failure.split("\"request_id\"").next().unwrap_or_default();
        let reason = format!("{}: {}", sample.step, reason.chars().take(REASON_MAX).collect::<String>());
        let at = sample.at - begun;
        let (times, first) = reasons.entry(reason).or_insert((0, at));
        (*times, *first) = (*times + 1, at.min(*first));
    }
    let slowest = tally.samples.iter().max_by_key(|sample| sample.took);
    let slowest =
        slowest.map(|sample| format!("the longest wait was a {} after {:.1?}", sample.step, sample.at - begun));
    let line = |(reason, (times, first)): (String, (usize, Duration))| {
        format!("{times} times, first after {first:.1?}, {reason}")
    };
    let stalls = tally.stalls.iter().max();
    let stalls =
        stalls.map(|longest| format!("this machine stood still {} times, up to {longest:.1?}", tally.stalls.len()));
    reasons.into_iter().map(line).chain(slowest).chain(stalls).collect()
}
