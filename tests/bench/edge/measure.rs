//! One figure of one round, and medians over rounds.

use std::{net::SocketAddr, path::Path, time::Duration};

use anyhow::Result;
use postern_tests::bench::{process, statistics::middle};

use crate::load;

/// What one load cost those who answered it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Figure {
    /// Processor time of a request in the Edges, or in the bare server.
    pub(crate) cpu_us: f64,
    /// Processor time of a request in Core, where there is one.
    pub(crate) core_cpu_us: Option<f64>,
    pub(crate) per_second: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

/// Where a load goes, and whose processor time counts.
#[derive(Debug, Clone)]
pub(crate) struct Target<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) request: &'a Path,
    pub(crate) pids: Vec<u32>,
    pub(crate) core: Option<u32>,
}

impl Target<'_> {
    /// Loads the target and measures.
    pub(crate) fn measure(&self, span: Duration) -> Result<Figure> {
        let before = (processor_time(&self.pids)?, processor_time(self.core.as_slice())?);
        let outcome = load::run(self.address, self.request, span)?;
        let after = (processor_time(&self.pids)?, processor_time(self.core.as_slice())?);
        let answered = outcome.answered as f64;
        let each = |before: Duration, after: Duration| (after - before).as_micros() as f64 / answered;
        Ok(Figure {
            cpu_us: each(before.0, after.0),
            core_cpu_us: self.core.map(|_| each(before.1, after.1)),
            per_second: answered / (outcome.elapsed_us as f64 / 1e6),
            p50_us: outcome.spread.p50_us.into(),
            p99_us: outcome.spread.p99_us.into(),
        })
    }

    /// Loads the target round after round; the first, short one does not count.
    pub(crate) fn median(&self, rounds: usize, span: Duration) -> Result<Figure> {
        self.measure(span / 5)?;
        let figures: Vec<Figure> = (0..rounds).map(|_| self.measure(span)).collect::<Result<_>>()?;
        Ok(median(&figures))
    }
}

/// Each field's own median.
pub(crate) fn median(figures: &[Figure]) -> Figure {
    let core: Vec<f64> = figures.iter().filter_map(|figure| figure.core_cpu_us).collect();
    Figure {
        cpu_us: middle(figures.iter().map(|figure| figure.cpu_us)),
        core_cpu_us: (!core.is_empty()).then(|| middle(core)),
        per_second: middle(figures.iter().map(|figure| figure.per_second)),
        p50_us: middle(figures.iter().map(|figure| figure.p50_us)),
        p99_us: middle(figures.iter().map(|figure| figure.p99_us)),
    }
}

fn processor_time(pids: &[u32]) -> Result<Duration> {
    pids.iter().map(|pid| process::processor_time(*pid)).sum()
}
