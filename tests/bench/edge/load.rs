//! The load: connections that are kept open, each sending its next request when the last is answered.
//!
//! A process of its own on one thread, with prebuilt requests, so that it takes as little of the machine as it can.

use std::{
    fs,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use postern_tests::bench::{
    child::Child,
    connection::Connection,
    statistics::{Spread, Waits},
};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::args::LoadOptions;

/// Enough that neither end waits for the other.
pub(crate) const CONNECTIONS: usize = 64;

/// What came of a load, on one line of JSON between the two processes.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) answered: u64,
    /// Answers that were no 200.
    pub(crate) refused: u64,
    pub(crate) elapsed_us: u64,
    pub(crate) spread: Spread,
}

/// Runs a load in a process of its own.
pub(crate) fn run(address: SocketAddr, request: &std::path::Path, span: Duration) -> Result<Outcome> {
    let mut load = Child::of_ourselves(
        "load",
        &[
            ("--address", address.to_string()),
            ("--request", request.display().to_string()),
            ("--connections", CONNECTIONS.to_string()),
            ("--millis", span.as_millis().to_string()),
        ],
    )?;
    let outcome: Outcome = serde_json::from_str(&load.line()?).context("the load printed something else")?;
    ensure!(outcome.answered > 0, "nothing was answered");
    ensure!(outcome.refused == 0, "{} of {} answers were no 200", outcome.refused, outcome.answered);
    Ok(outcome)
}

/// The role of the child process.
pub(crate) fn generate(options: &LoadOptions) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let outcome = runtime.block_on(drive(options))?;
    println!("{}", serde_json::to_string(&outcome)?);
    Ok(())
}

async fn drive(options: &LoadOptions) -> Result<Outcome> {
    let request: Arc<[u8]> = fs::read(&options.request)?.into();
    let begun = Instant::now();
    let end = begun + Duration::from_millis(options.millis);
    let mut connections = JoinSet::new();
    for _ in 0..options.connections {
        connections.spawn(one_connection(options.address, Arc::clone(&request), end));
    }
    let mut waits = Waits::default();
    let mut refused = 0;
    for one in connections.join_all().await {
        let one = one?;
        waits.append(one.waits);
        refused += one.refused;
    }
    let elapsed_us = begun.elapsed().as_micros().try_into()?;
    Ok(Outcome { answered: waits.len().try_into()?, refused, elapsed_us, spread: waits.spread() })
}

#[derive(Debug, Default)]
struct Seen {
    waits: Waits,
    refused: u64,
}

async fn one_connection(address: SocketAddr, request: Arc<[u8]>, end: Instant) -> Result<Seen> {
    let mut connection = Connection::open(address).await?;
    let mut seen = Seen::default();
    while Instant::now() < end {
        let (answer, took) = connection.exchange(&request).await?;
        seen.refused += u64::from(answer.status != 200);
        seen.waits.push(took);
    }
    Ok(seen)
}
