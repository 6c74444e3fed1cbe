//! What one load found, and medians over rounds.

use anyhow::{Result, ensure};
use postern_tests::bench::statistics::{Spread, middle};

use crate::{
    args::{LoadOptions, Task},
    load::{self, Outcome},
    scene::Scene,
};

/// A range of visitors, and for how long they come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shift {
    pub(crate) first: usize,
    pub(crate) count: usize,
    pub(crate) millis: u64,
}

/// One load, or the medians over several.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    pub(crate) per_second: f64,
    /// How long a whole visit took, and then each call that it is made of.
    pub(crate) waits: Vec<Waits>,
    /// Processor time of each program for a visit, the load's own as the last.
    pub(crate) spent: Vec<Spent>,
}

#[derive(Debug, Clone)]
pub(crate) struct Waits {
    pub(crate) name: String,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

#[derive(Debug, Clone)]
pub(crate) struct Spent {
    pub(crate) name: String,
    pub(crate) us: f64,
}

impl Figure {
    /// Loads the system and looks at what it cost.
    pub(crate) fn take(scene: &Scene, task: Task, shift: Shift) -> Result<Self> {
        let visitors = match task {
            Task::Poll | Task::LogIn => scene.seeded.members.clone(),
            Task::Enroll => scene.seeded.invited.clone(),
        };
        let Shift { first, count, millis } = shift;
        let options = LoadOptions { address: scene.address(), task, visitors, first, count, millis };
        let spent = || scene.parts().iter().map(crate::scene::Part::spent_us).collect::<Result<Vec<_>>>();
        let before = spent()?;
        let outcome = load::run(&options)?;
        let spent = spent()?.into_iter().zip(before).map(|(after, before)| after - before);
        ensure!(outcome.visits > 0, "nobody was served");
        let names = scene.parts().iter().map(|part| part.name.as_str());
        Ok(Self::of(&outcome, names.zip(spent)))
    }

    fn of<'a>(outcome: &Outcome, parts: impl Iterator<Item = (&'a str, f64)>) -> Self {
        let visits = outcome.visits as f64;
        let load = ("load", outcome.processor.as_micros() as f64);
        let waits = |name: &str, spread: Spread| Waits {
            name: name.to_owned(),
            p50_ms: f64::from(spread.p50_us) / 1e3,
            p99_ms: f64::from(spread.p99_us) / 1e3,
        };
        let whole = std::iter::once(waits("", outcome.visit));
        Self {
            per_second: visits / outcome.elapsed.as_secs_f64(),
            waits: whole.chain(outcome.calls.iter().map(|calls| waits(&calls.name, calls.spread))).collect(),
            spent: parts.chain([load]).map(|(name, us)| Spent { name: name.to_owned(), us: us / visits }).collect(),
        }
    }

    /// Each figure's own median. All have the same calls and programs.
    pub(crate) fn median(figures: &[Self]) -> Self {
        let waits = |index: usize| figures.iter().map(move |figure| &figure.waits[index]);
        let spent = |index: usize| figures.iter().map(move |figure| figure.spent[index].us);
        let first = &figures[0];
        Self {
            per_second: middle(figures.iter().map(|figure| figure.per_second)),
            waits: (0..first.waits.len())
                .map(|index| Waits {
                    name: first.waits[index].name.clone(),
                    p50_ms: middle(waits(index).map(|waits| waits.p50_ms)),
                    p99_ms: middle(waits(index).map(|waits| waits.p99_ms)),
                })
                .collect(),
            spent: (0..first.spent.len())
                .map(|index| Spent { name: first.spent[index].name.clone(), us: middle(spent(index)) })
                .collect(),
        }
    }

    /// The 99th percentile of a whole visit.
    pub(crate) fn p99_ms(&self) -> f64 {
        self.waits[0].p99_ms
    }

    pub(crate) fn p50_ms(&self) -> f64 {
        self.waits[0].p50_ms
    }

    /// Of a program, for a visit.
    pub(crate) fn spent_us(&self, part: &str) -> f64 {
        self.spent.iter().find(|spent| spent.name == part).map_or(f64::NAN, |spent| spent.us)
    }
}
