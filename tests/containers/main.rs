//! The images and stacks of `deploy/` on a real container engine: built, brought up, looked at, broken, taken down.
//!
//! Prints a line for each check, and how many missed their target. Needs root, for it makes a host for the engine.

#![allow(clippy::print_stdout, reason = "the lines are what this program is for")]

mod check;
mod engine;
mod images;
mod inside;
mod outcome;
mod person;
mod stack;

use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use postern_tests::namespaces;

use crate::{
    check::{Check, Scene},
    engine::Engine,
    outcome::Outcome,
};

/// What a program returns that could not try anything.
const SKIPPED: u8 = 77;

/// Plays what an administrator does with the images and the Compose files, and what goes wrong with them.
#[derive(Debug, Parser)]
struct Args {
    /// Names of some [default: all]
    checks: Vec<String>,
    /// Set by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if !args.bench {
        // `cargo test --benches` only wants to know that we start.
        println!("run me with: tests/run --containers");
        return ExitCode::SUCCESS;
    }
    play(&args).unwrap_or_else(|error| {
        println!("containers failed: {error:#}");
        ExitCode::FAILURE
    })
}

fn play(args: &Args) -> Result<ExitCode> {
    namespaces::remove_leftovers().context("is this root?")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let engine = match runtime.block_on(Engine::start()) {
        Ok(engine) => engine,
        Err(error) => {
            println!("skipped: no container engine ({error:#})");
            return Ok(ExitCode::from(SKIPPED));
        }
    };
    runtime.block_on(images::make(&engine))?;
    drop(runtime);
    let outcomes = engine.host().within(|| play_on(&engine, args))??;
    let missed = outcomes.iter().filter(|outcome| !outcome.is_met).count();
    ensure!(!outcomes.is_empty(), "no check has this name");
    println!("missed: {missed} of {}", outcomes.len());
    Ok(if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// On a thread that is on the engine's host, and so is everything that it starts.
fn play_on(engine: &Engine, args: &Args) -> Result<Vec<Outcome>> {
    let threads = engine.host().runtime(2)?;
    let mut outcomes = Vec::new();
    for (scene, mut checks) in check::programme() {
        checks.retain(|check| args.checks.is_empty() || args.checks.iter().any(|wanted| wanted == check.name()));
        if checks.is_empty() {
            continue;
        }
        let played = play_scene(engine, threads.handle(), scene, &checks, &mut outcomes);
        if let Err(error) = threads.block_on(played) {
            let outcome = Outcome::unplayed(scene.name(), &error);
            println!("{outcome}");
            outcomes.push(outcome);
        }
    }
    Ok(outcomes)
}

async fn play_scene(
    engine: &Engine,
    threads: &tokio::runtime::Handle,
    scene: Scene,
    checks: &[Check],
    outcomes: &mut Vec<Outcome>,
) -> Result<()> {
    let mut stage = scene.set(engine, threads.clone()).await?;
    for check in checks {
        let outcome = match check.play(&mut stage).await {
            Ok(outcome) => outcome,
            Err(error) => Outcome::unplayed(check.name(), &error),
        };
        println!("{outcome}");
        if !outcome.is_met {
            eprintln!("{}", stage.last_words().await);
        }
        outcomes.push(outcome);
    }
    stage.clear().await
}
