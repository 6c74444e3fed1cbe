//! Processor time of the shipped Edge, request by request, against a bare server that answers the same bytes.
//!
//! Runs the release binaries in processes of their own, with default settings but for addresses and folders. The last
//! line is for machines; the exit code says whether the bars hold.

#![allow(clippy::print_stdout, reason = "a report is what this program is for")]

mod args;
mod bare;
mod fake_core;
mod load;
mod measure;
mod report;
mod round;
mod scene;
mod websockets;
mod whole;

use std::{path::Path, process::ExitCode};

use anyhow::Result;
use clap::Parser as _;
use postern_tests::bench::build;

use crate::{
    args::{Args, Role},
    scene::Scene,
};

fn main() -> ExitCode {
    let args = Args::parse();
    let outcome = match &args.role {
        Some(Role::Bare(options)) => bare::serve(options).map(|()| ExitCode::SUCCESS),
        Some(Role::FakeCore(options)) => fake_core::serve(options).map(|()| ExitCode::SUCCESS),
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
        println!("run me with: cargo bench -p postern-tests --bench edge");
        return Ok(ExitCode::SUCCESS);
    }
    let edge = match &args.edge_bin {
        Some(named) => named.clone(),
        None => build::release()?.join("postern-edge"),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(measure_all(args, &edge))
}

async fn measure_all(args: &Args, edge: &Path) -> Result<ExitCode> {
    let scene = Scene::set(edge, &[]).await?;
    let report = round::compare(args, &scene).await?;
    report.print_comparison();
    let websocket = websockets::measure(&Scene::set(edge, &websockets::RAISED).await?).await?;
    println!("\n{websocket}");
    if !args.only_comparison() {
        report::print_whole("through NGINX, with a FakeCore", whole::through_nginx(args, &scene).await?);
        drop(scene);
        report::print_whole("the whole system: NGINX, two Edges, Core", whole::with_core(args).await?);
    }
    Ok(report.conclude(args, websocket))
}
