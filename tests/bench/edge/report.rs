//! What a person reads, and the last line, which machines read.

use std::{fmt, process::ExitCode};

use crate::{args::Args, measure::Figure, scene::Call, websockets::IdleWebsocket};

/// `poll`: processor time of the Edge by that of the bare server. A tunnel without headers, cookies and limits takes 1.5.
const POLL_RATIO_MAX: f64 = 1.6;
/// `enrollment/start` seals a cookie beside that.
const ENROLLMENT_RATIO_MAX: f64 = 1.9;
/// Memory of an Edge that has a tunnel and nothing to do.
const IDLE_KIB_MAX: u64 = 20 * 1024;
/// Memory of a websocket that waits.
const WEBSOCKET_KIB_MAX: f64 = 16.0;

/// The same call, answered by both.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) call: Call,
    pub(crate) edge: Figure,
    pub(crate) bare: Figure,
}

impl Pair {
    fn ratio(&self) -> f64 {
        self.edge.cpu_us / self.bare.cpu_us
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cpu_us, per_second, p50_us, p99_us, .. } = self;
        write!(f, "{cpu_us:6.1} us of processor time, {per_second:7.0}/s, p50 {p50_us:6.0} us, p99 {p99_us:6.0} us")
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.call.path();
        write!(f, "{path}: ratio {:.2}\n    edge {}\n    bare {}", self.ratio(), self.edge, self.bare)
    }
}

/// Both calls on a longer way, for people.
pub(crate) fn print_whole(way: &str, figures: [Figure; 2]) {
    println!("\nmedians, {way}:");
    for (call, figure) in Call::ALL.into_iter().zip(figures) {
        let core = figure.core_cpu_us.map(|us| format!(", {us:.1} us in Core")).unwrap_or_default();
        println!("{}\n    edge {figure}{core}", call.path());
    }
}

/// Medians over all rounds.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) poll: Pair,
    pub(crate) enrollment_start: Pair,
    pub(crate) idle_kib: u64,
    pub(crate) loaded_kib: u64,
}

impl Report {
    pub(crate) fn print_comparison(&self) {
        println!("\nmedians, Edge with a FakeCore against a bare server:");
        println!("{}\n{}", self.poll, self.enrollment_start);
        println!("memory of the Edge: {} KiB idle, {} KiB after the load", self.idle_kib, self.loaded_kib);
    }

    /// Prints the verdict and the line for machines.
    pub(crate) fn conclude(&self, args: &Args, websocket: IdleWebsocket) -> ExitCode {
        let bars = [
            ("poll ratio", self.poll.ratio(), POLL_RATIO_MAX),
            ("enrollment/start ratio", self.enrollment_start.ratio(), ENROLLMENT_RATIO_MAX),
            ("idle memory, KiB", self.idle_kib as f64, IDLE_KIB_MAX as f64),
            ("idle websocket, KiB", websocket.kib, WEBSOCKET_KIB_MAX),
        ];
        println!();
        for (name, found, limit) in bars {
            let verdict = if found <= limit { "holds" } else { "BROKEN" };
            println!("{verdict:6} {name}: {found:.2}, at most {limit:.2}");
        }
        println!("{}", self.machine_line());
        let holds = bars.iter().all(|(_, found, limit)| found <= limit);
        if holds || args.is_quick() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn machine_line(&self) -> String {
        format!(
            "poll_cpu_us={:.2} bare_cpu_us={:.2} poll_cpu_ratio={:.3} enroll_cpu_ratio={:.3}",
            self.poll.edge.cpu_us,
            self.poll.bare.cpu_us,
            self.poll.ratio(),
            self.enrollment_start.ratio(),
        )
    }
}
