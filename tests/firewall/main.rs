//! The shipped packet filters, loaded on hosts of their own and proved packet by packet; then a Core, an Edge and an NGINX behind
//! them.
//!
//! Prints a line for each pair of hosts, and how many missed. Needs root, for it makes a network.

mod place;
mod probe;
mod table;
mod whole;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use postern_tests::{Checks, namespaces};

use crate::{
    place::{Place, Rules},
    probe::Probes,
    table::Phase,
};

/// Proves the packet filters.
#[derive(Debug, Parser)]
struct Args {
    /// Set by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let mut checks = Checks::default();
    if !Args::parse().bench {
        // `cargo test --benches` only wants to know that we start.
        return ExitCode::SUCCESS;
    }
    if let Err(error) = play(&mut checks) {
        checks.tell("firewall", Err::<&str, _>(error));
    }
    checks.end()
}

fn play(checks: &mut Checks) -> Result<()> {
    namespaces::remove_leftovers().context("is this root?")?;
    let (place, rules) = (Place::create()?, Rules::shipped()?);
    let probes = Probes::start(&place)?;
    for phase in [Phase::Open, Phase::Shipped, Phase::AllSet, Phase::TakenOver] {
        match phase {
            Phase::Open => {}
            Phase::Shipped => place.load(&rules)?,
            Phase::AllSet => place.load(&table::all_set(&rules)?)?,
            Phase::TakenOver => {
                place.load(&rules)?;
                place.throw_away_the_filter_of_the_dmz()?;
            }
        }
        for (name, outcome) in table::play(&probes, phase)? {
            checks.tell(&name, outcome);
        }
    }
    drop(probes);
    checks.tell("narrow-way", whole::packets_are_made_to_fit_a_narrow_way(&place, &rules));
    place.load(&rules)?;
    whole::play(checks, &place, &rules)
}
