//! Real programs on hosts of their own, under load, while something goes wrong: who notices?
//!
//! Prints a line for each scenario, and how many missed their target. Needs root, for it makes a network.

#![allow(clippy::print_stdout, reason = "the lines are what this program is for")]

mod faults;
mod form;
mod place;
mod quota;
mod scenario;
mod system;

use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, ensure};
use clap::Parser;
use postern_tests::{
    bench::build,
    namespaces,
    traffic::{ledger, load, outcome, people, visit},
};

use crate::{
    form::Form,
    outcome::Outcome,
    place::Place,
    scenario::{Scenario, Stage, long_absence, programme},
    system::{Hosts, Setup, System},
};

/// Plays what can go wrong, and counts who noticed.
#[derive(Debug, Parser)]
struct Args {
    /// Names of some [default: all]
    scenarios: Vec<String>,
    /// Less load, and less time, with the programs that cargo built for this profile.
    #[arg(long)]
    short: bool,
    /// Leaves all files of a system that missed a target where they are, and says where.
    #[arg(long)]
    keep: bool,
    /// Set by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Args {
    fn wants(&self, name: &str) -> bool {
        self.scenarios.is_empty() || self.scenarios.iter().any(|wanted| wanted == name)
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    if !args.bench {
        // `cargo test --benches` only wants to know that we start.
        println!("run me with: tests/run --chaos");
        return ExitCode::SUCCESS;
    }
    play(&args).unwrap_or_else(|error| {
        println!("chaos failed: {error:#}");
        ExitCode::FAILURE
    })
}

fn play(args: &Args) -> Result<ExitCode> {
    if !args.short {
        build::release()?;
    }
    let form = if args.short { Form::short() } else { Form::full() };
    namespaces::remove_leftovers().context("is this root?")?;
    let (mut played, mut missed) = (0, 0);
    if args.wants(long_absence::NAME) {
        let outcome = long_absence::play();
        print(&outcome);
        (played, missed) = (1, usize::from(!outcome.is_met));
    }
    for (setup, mut scenarios) in programme(&form) {
        scenarios.retain(|scenario| args.wants(&scenario.name(setup.front)));
        if scenarios.is_empty() {
            continue;
        }
        let outcomes = Act { setup, form: &form, scenarios: &scenarios, keeps_files: args.keep }.play()?;
        played += outcomes.len();
        missed += outcomes.iter().filter(|outcome| !outcome.is_met).count();
    }
    ensure!(played > 0, "no scenario has this name");
    println!("missed: {missed} of {played}");
    Ok(if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Scenarios on one system.
#[derive(Debug)]
struct Act<'a> {
    setup: Setup,
    form: &'a Form,
    scenarios: &'a [Scenario],
    keeps_files: bool,
}

impl Act<'_> {
    /// On a thread of its own, which moves to the host in front and never comes back.
    fn play(&self) -> Result<Vec<Outcome>> {
        std::thread::scope(|scope| {
            let joined = scope.spawn(|| self.play_in_front()).join();
            joined.map_err(|_| anyhow!("a scenario panicked"))?
        })
    }

    fn play_in_front(&self) -> Result<Vec<Outcome>> {
        let place = Place::create(self.setup.cores(), self.setup.edges)?;
        place.front.enter()?;
        let [public, front, intranet] = [&place.public, &place.front, &place.cores[0]].map(|host| host.runtime(1));
        let (public, front, intranet) = (public?, front?, intranet?);
        let own = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let [public, front, intranet] = [&public, &front, &intranet].map(|threads| threads.handle().clone());
        let hosts = Hosts { public, front, intranet };
        own.block_on(async {
            let system = System::start(&place, self.setup, hosts).await?;
            let mut stage = Stage { place: &place, system, form: self.form, name: String::new() };
            let mut outcomes = Vec::new();
            for scenario in self.scenarios {
                stage.name = scenario.name(self.setup.front);
                let outcome = scenario
                    .play(&mut stage)
                    .await
                    .unwrap_or_else(|error| Outcome::unplayed(&stage.name, format!("{error:#}")));
                print(&outcome);
                if !outcome.is_met {
                    eprintln!("{}", stage.system.last_words());
                    if self.keeps_files {
                        stage.system.keep_files();
                    }
                }
                outcomes.push(outcome);
            }
            Ok(outcomes)
        })
    }
}

fn print(outcome: &Outcome) {
    for note in outcome.notes.iter().filter(|note| !note.is_empty()) {
        eprintln!("{}: {note}", outcome.scenario);
    }
    println!("{outcome}{}", if outcome.is_met { "" } else { " (missed)" });
}
