//! What a person reads, and the last line, which machines read.

use std::process::ExitCode;

use anyhow::Result;

use crate::{args::Args, figure::Figure, rounds::Polls, scene::Scene};

/// Three times the published ceiling of the stock stack, on fewer processors.
const POLLS_PER_SECOND_MIN: f64 = 3150.0;
const POLL_P99_MS_MAX: f64 = 50.0;
const LOGINS_PER_SECOND_MIN: f64 = 600.0;
/// Many people against few.
const CORE_RATIO_MAX: f64 = 1.1;
const RATE_RATIO_MIN: f64 = 0.9;

/// Medians over all rounds.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) polls: Polls,
    pub(crate) logins: Figure,
    pub(crate) enrollments: Figure,
}

/// A figure and where it must lie.
#[derive(Debug)]
struct Bar {
    name: &'static str,
    found: f64,
    must_be: Limit,
}

#[derive(Debug, Clone, Copy)]
enum Limit {
    AtLeast(f64),
    AtMost(f64),
}

impl Bar {
    fn holds(&self) -> bool {
        match self.must_be {
            Limit::AtLeast(least) => self.found >= least,
            Limit::AtMost(most) => self.found <= most,
        }
    }
}

/// Memory of each program, after all loads.
pub(crate) fn print_memory(scene: &Scene) -> Result<()> {
    println!("\nmemory at the end, KiB:");
    for part in scene.parts() {
        println!("    {:18} {:>9}", part.name, part.resident_kib()?);
    }
    Ok(())
}

pub(crate) fn print(name: &str, figure: &Figure) {
    println!("\n{name}: {:.0}/s", figure.per_second);
    // What is made of one call only is that call.
    let shown = if figure.waits.len() == 2 { &figure.waits[..1] } else { &figure.waits };
    for waits in shown {
        let name = if waits.name.is_empty() { "all" } else { &waits.name };
        println!("    {name:18} p50 {:7.2} ms   p99 {:7.2} ms", waits.p50_ms, waits.p99_ms);
    }
    for spent in &figure.spent {
        println!("    {:18} {:7.1} us of processor time", spent.name, spent.us);
    }
}

impl Report {
    /// Prints everything, the verdict, and the line for machines.
    pub(crate) fn conclude(&self, args: &Args) -> ExitCode {
        println!("\nmedians, through NGINX and two Edges:");
        print(&format!("polls, {} people", args.people()), &self.polls.many);
        print("polls, few people", &self.polls.few);
        print("logins with a code", &self.logins);
        print("enrollments", &self.enrollments);
        let bars = self.bars();
        println!();
        for bar in &bars {
            let verdict = if bar.holds() { "holds" } else { "BROKEN" };
            match bar.must_be {
                Limit::AtLeast(least) => println!("{verdict:6} {}: {:.2}, at least {least:.2}", bar.name, bar.found),
                Limit::AtMost(most) => println!("{verdict:6} {}: {:.2}, at most {most:.2}", bar.name, bar.found),
            }
        }
        println!("{}", self.machine_line());
        let holds = bars.iter().all(Bar::holds);
        if holds || args.is_quick() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn bars(&self) -> [Bar; 5] {
        let Self { polls, logins, .. } = self;
        let bar = |name, found, must_be| Bar { name, found, must_be };
        [
            bar("polls per second", polls.many.per_second, Limit::AtLeast(POLLS_PER_SECOND_MIN)),
            bar("p99 of a poll, ms", polls.many.p99_ms(), Limit::AtMost(POLL_P99_MS_MAX)),
            bar("logins per second", logins.per_second, Limit::AtLeast(LOGINS_PER_SECOND_MIN)),
            bar("Core's time for a poll, many people by few", polls.core_ratio, Limit::AtMost(CORE_RATIO_MAX)),
            bar("polls per second, many people by few", polls.rate_ratio, Limit::AtLeast(RATE_RATIO_MIN)),
        ]
    }

    fn machine_line(&self) -> String {
        let Self { polls, logins, enrollments } = self;
        let rates =
            [("polls", "poll", &polls.many), ("logins", "login", logins), ("enrollments", "enrollment", enrollments)];
        let rates = rates.map(|(many, one, figure)| {
            let Figure { per_second, .. } = figure;
            let (p50, p99, core) = (figure.p50_ms(), figure.p99_ms(), figure.spent_us("Core"));
            format!("{many}_per_s={per_second:.1} {one}_p50_ms={p50:.2} {one}_p99_ms={p99:.2} {one}_core_us={core:.1}")
        });
        let Polls { core_ratio, rate_ratio, .. } = polls;
        format!("{} people_core_ratio={core_ratio:.3} people_rate_ratio={rate_ratio:.3}", rates.join(" "))
    }
}
