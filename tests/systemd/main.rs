//! The shipped units on a real systemd: started, confined, killed, frozen, drained.
//!
//! Prints a line for each check, and how many missed. Needs root, for it boots a machine of its own.

mod confinement;
mod life;
mod machine;
mod start;

use std::{net::SocketAddr, process::ExitCode};

use anyhow::{Context, Result};
use clap::Parser;
use postern_tests::{Checks, Namespace, namespaces};

use crate::machine::Machine;

/// Where the shipped example lets an Edge listen.
const EDGE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);
const UNITS: [&str; 2] = ["postern-edge", "postern-core"];

/// Boots a systemd, and runs both programs under it.
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
        checks.tell("systemd", Err::<&str, _>(error));
    }
    checks.end()
}

fn play(checks: &mut Checks) -> Result<()> {
    namespaces::remove_leftovers().context("is this root?")?;
    let network = Namespace::create("systemd").context("is this root?")?;
    network.within(|| {
        let threads = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        threads.block_on(async {
            let machine = Machine::boot(&network).await?;
            start::install(&machine).await?;
            checks.tell("settings", start::the_example_settings_are_valid(&machine).await);
            checks.tell("verify", start::systemd_finds_no_mistake(&machine).await);
            checks.tell("exposure", confinement::little_is_exposed(&machine).await);
            // Without these nothing else can be looked at.
            if !checks.tell("start", start::started_means_that_it_serves(&machine).await)
                || !checks.tell("adopt", start::core_adopts_the_edge(&machine).await)
            {
                return Ok(());
            }
            checks.tell("confined", confinement::both_run_as_nobody_who_can_do_anything(&machine).await);
            checks.tell("credentials", confinement::a_secret_is_for_its_service_only(&machine).await);
            checks.tell("encrypted", confinement::a_secret_may_lie_encrypted(&machine).await);
            for unit in UNITS {
                checks.tell(&format!("killed-{unit}"), life::what_is_killed_comes_back(&machine, unit).await);
                checks.tell(&format!("frozen-{unit}"), life::what_stands_still_is_replaced(&machine, unit).await);
            }
            checks.tell("drain", life::what_is_in_flight_is_answered_before_the_edge_ends(&machine).await);
            checks.tell("restart", life::both_restart_without_a_word(&machine).await);
            checks.tell("mistake", start::a_mistake_in_the_settings_is_not_tried_again(&machine).await);
            checks.tell("taken-port", start::a_port_is_had_when_it_is_free(&machine).await);
            checks.tell("low-ports", start::low_ports_take_what_is_shipped_for_them(&machine).await);
            checks.tell("stop", life::both_stop_in_order(&machine).await);
            Ok(())
        })
    })?
}
