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
use serde::{Deserialize, Serialize};
use tokio::{
    io::AsyncWriteExt as _,
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinSet,
};

use crate::{args::LoadOptions, children::Child, http::Answers};

/// Enough that neither end waits for the other.
pub(crate) const CONNECTIONS: usize = 64;

/// What came of a load, on one line of JSON between the two processes.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) answered: u64,
    /// Answers that were no 200.
    pub(crate) refused: u64,
    pub(crate) elapsed_us: u64,
    pub(crate) p50_us: u32,
    pub(crate) p99_us: u32,
    pub(crate) worst_us: u32,
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
    let mut waits = Vec::new();
    let mut refused = 0;
    for one in connections.join_all().await {
        let one = one?;
        waits.extend(one.waits_us);
        refused += one.refused;
    }
    let elapsed_us = begun.elapsed().as_micros().try_into()?;
    waits.sort_unstable();
    let at = |part: f64| waits.get((waits.len() as f64 * part) as usize).or(waits.last()).copied().unwrap_or_default();
    let (p50_us, p99_us, worst_us) = (at(0.5), at(0.99), at(1.0));
    Ok(Outcome { answered: waits.len().try_into()?, refused, elapsed_us, p50_us, p99_us, worst_us })
}

#[derive(Debug, Default)]
struct Connection {
    waits_us: Vec<u32>,
    refused: u64,
}

async fn one_connection(address: SocketAddr, request: Arc<[u8]>, end: Instant) -> Result<Connection> {
    let (mut answers, mut sink) = connect(address).await?;
    let mut seen = Connection::default();
    let mut asked = Instant::now();
    while asked < end {
        sink.write_all(&request).await?;
        let (status, _) = answers.next().await?;
        seen.refused += u64::from(status != 200);
        let answered = Instant::now();
        seen.waits_us.push((answered - asked).as_micros().try_into().unwrap_or(u32::MAX));
        asked = answered;
        if answers.is_last() {
            (answers, sink) = connect(address).await?;
        }
    }
    Ok(seen)
}

async fn connect(address: SocketAddr) -> Result<(Answers<OwnedReadHalf>, OwnedWriteHalf)> {
    let connection = TcpStream::connect(address).await.with_context(|| format!("cannot reach {address}"))?;
    connection.set_nodelay(true)?;
    let (source, sink) = connection.into_split();
    Ok((Answers::new(source), sink))
}
