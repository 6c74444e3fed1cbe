//! What came of a load: how long each kind of call took, and each visit as a whole.

use std::{collections::BTreeMap, time::Duration};

use postern_tests::bench::statistics::{Spread, Waits};
use serde::{Deserialize, Serialize};

/// Name of a whole visit among the calls.
const VISIT: &str = "";

/// What one connection saw.
#[derive(Debug, Default)]
pub(super) struct Record(BTreeMap<&'static str, Waits>);

/// One kind of call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Calls {
    pub(crate) name: String,
    pub(crate) spread: Spread,
}

/// One line of JSON between the two processes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) visits: u64,
    pub(crate) visit: Spread,
    /// What a visit is made of.
    pub(crate) calls: Vec<Calls>,
    pub(crate) elapsed: Duration,
    /// Processor time of the load itself.
    pub(crate) processor: Duration,
}

impl Record {
    pub(super) fn push(&mut self, name: &'static str, took: Duration) {
        self.0.entry(name).or_default().push(took);
    }

    pub(super) fn push_visit(&mut self, took: Duration) {
        self.push(VISIT, took);
    }

    pub(super) fn append(&mut self, other: Self) {
        for (name, waits) in other.0 {
            self.0.entry(name).or_default().append(waits);
        }
    }

    pub(super) fn outcome(mut self, elapsed: Duration, processor: Duration) -> Outcome {
        let visits = self.0.remove(VISIT).unwrap_or_default();
        let calls = self.0.into_iter().map(|(name, waits)| Calls { name: name.to_owned(), spread: waits.spread() });
        Outcome { visits: visits.len() as u64, calls: calls.collect(), visit: visits.spread(), elapsed, processor }
    }
}
