//! The whole system under load: NGINX, two Edges, Core and a database of 50,000 people, all on this machine.
//!
//! Runs the release binaries with default settings but for addresses and folders. The last line is for machines; the exit
//! code says whether the bars hold.

#![allow(clippy::print_stdout, reason = "a report is what this program is for")]

mod args;
mod compare;
mod figure;
mod load;
mod report;
mod rounds;
mod scene;
mod seed;
mod server;
mod visitors;

use std::{process::ExitCode, rc::Rc, time::Instant};

use anyhow::{Result, ensure};
use clap::Parser as _;
use postern_tests::bench::build;

use crate::{
    args::{Args, Kind, Role, Task},
    report::Report,
    scene::{Ground, Scene},
    seed::Crowd,
    server::Server,
};

/// A store so small that nothing in it can be slow.
const FEW: usize = 50;
/// More than two processors can hash passwords of in a second.
const ENROLLMENTS_PER_SECOND: f64 = 120.0;

fn main() -> ExitCode {
    let args = Args::parse();
    let outcome = match &args.role {
        Some(Role::Load(options)) => load::generate(options).map(|()| ExitCode::SUCCESS),
        None => bench(&args),
    };
    outcome.unwrap_or_else(|error| {
        println!("bench failed: {error:#}");
        ExitCode::FAILURE
    })
}

fn bench(args: &Args) -> Result<ExitCode> {
    // Without this flag it is `cargo test --benches` that calls, which only wants to know that we start.
    if !args.bench {
        println!("run me with: cargo bench -p postern-tests --bench system");
        return Ok(ExitCode::SUCCESS);
    }
    build::release()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { if args.compare { compare::compare(args).await } else { measure_all(args).await } })
}

async fn measure_all(args: &Args) -> Result<ExitCode> {
    let invited = ENROLLMENTS_PER_SECOND * args.span().as_secs_f64() * args.rounds() as f64;
    let begun = Instant::now();
    let (many, few) = grounds(args)?;
    let many = Scene::set(Crowd { members: args.people(), invited: invited as usize }, many, args.cores).await?;
    println!("{} people are ready after {:.1} s", args.people(), begun.elapsed().as_secs_f64());
    let few = Scene::set(Crowd { members: FEW, invited: 0 }, few, args.cores).await?;
    let polls = rounds::polls(args, &many, &few).await?;
    drop(few);
    let logins = rounds::once(args, &many, Task::LogIn)?;
    let enrollments = rounds::once(args, &many, Task::Enroll)?;
    report::print_memory(&many)?;
    Ok(Report { polls, logins, enrollments }.conclude(args))
}

/// Of many and of few.
fn grounds(args: &Args) -> Result<(Ground, Ground)> {
    ensure!(args.cores == 1 || args.database == Kind::Postgres, "several Cores need --database postgres");
    Ok(match args.database {
        Kind::Sqlite => (Ground::File, Ground::File),
        Kind::Postgres => {
            let server = Rc::new(Server::start()?);
            (Ground::Server(Rc::clone(&server), "many"), Ground::Server(server, "few"))
        }
    })
}
