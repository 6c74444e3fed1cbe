//! Medians over rounds, and how long most calls took.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The middle of some figures; of an even number of them, between the two middle ones.
pub fn middle(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[odd / 2],
        even => f64::midpoint(values[even / 2 - 1], values[even / 2]),
    }
}

/// How long each of many calls took, in microseconds.
#[derive(Debug, Default)]
pub struct Waits(Vec<u32>);

/// How long most calls took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spread {
    pub p50_us: u32,
    pub p99_us: u32,
    pub worst_us: u32,
}

impl Waits {
    pub fn push(&mut self, wait: Duration) {
        self.0.push(wait.as_micros().try_into().unwrap_or(u32::MAX));
    }

    pub fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn spread(mut self) -> Spread {
        self.0.sort_unstable();
        let at = |part: f64| self.0.get((self.0.len() as f64 * part) as usize).or(self.0.last());
        let [p50_us, p99_us, worst_us] = [0.5, 0.99, 1.0].map(|part| at(part).copied().unwrap_or_default());
        Spread { p50_us, p99_us, worst_us }
    }
}
