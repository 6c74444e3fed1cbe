//! How long two questions take, and whether one could tell them apart by that.

use std::{
    fmt,
    time::{Duration, Instant},
};

use postern_proto::proxy::core_request::Payload;

use crate::support::Core;

const SAMPLES: usize = 2_000;

/// Sorted.
pub(super) struct Samples {
    first: Vec<Duration>,
    second: Vec<Duration>,
}

/// Asks both in turn, so that whatever else the machine does meets both.
pub(super) async fn interleaved(core: &Core, first: &Payload, second: &Payload) -> Samples {
    let mut samples = Samples { first: Vec::with_capacity(SAMPLES), second: Vec::with_capacity(SAMPLES) };
    for round in 0..2 * SAMPLES {
        let is_first = round % 2 == 0;
        let payload = if is_first { first.clone() } else { second.clone() };
        let started = Instant::now();
        core.ask(payload).await.unwrap_err();
        let took = started.elapsed();
        if is_first { samples.first.push(took) } else { samples.second.push(took) }
    }
    samples.first.sort();
    samples.second.sort();
    samples
}

impl Samples {
    /// The largest distance between the two distributions (Kolmogorov and Smirnov).
    fn distance(&self) -> f64 {
        let below = |sorted: &[Duration], at: &Duration| sorted.partition_point(|took| took <= at) as f64;
        let all = self.first.iter().chain(&self.second);
        all.map(|at| (below(&self.first, at) - below(&self.second, at)).abs() / SAMPLES as f64).fold(0.0, f64::max)
    }

    /// How likely chance alone makes such a distance.
    fn chance(&self) -> f64 {
        let size = (SAMPLES as f64 / 2.0).sqrt();
        let scaled = (size + 0.12 + 0.11 / size) * self.distance();
        let terms = (1..=100).map(|term| {
            let sign = if term % 2 == 1 { 2.0 } else { -2.0 };
            sign * (-2.0 * f64::from(term * term) * scaled * scaled).exp()
        });
        terms.sum::<f64>().clamp(0.0, 1.0)
    }
}

impl fmt::Display for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second] = [&self.first, &self.second].map(|sorted| sorted[SAMPLES / 2].as_secs_f64() * 1e6);
        let (distance, chance) = (self.distance(), self.chance());
        write!(
            f,
            "medians {first:.1} and {second:.1} µs, apart {:.1} µs; KS {distance:.3}, p {chance:.3}",
            second - first
        )
    }
}
