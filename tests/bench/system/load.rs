//! The load: visitors on connections that are kept open, each connection serving one visitor after the other.
//!
//! A process of its own on one thread, so that it takes as little of the machine as it can. The first answer that is not
//! what it must be ends it.

mod enrolling;
mod logging_in;
mod polling;
mod record;

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use postern_tests::bench::{child::Child, connection::Connection, http::Answer, process};
use tokio::task::JoinSet;

pub(crate) use self::record::Outcome;
use self::{enrolling::Enrolling, logging_in::LoggingIn, polling::Polling, record::Record};
use crate::args::{LoadOptions, Task};

/// Runs a load in a process of its own.
pub(crate) fn run(options: &LoadOptions) -> Result<Outcome> {
    let path = |path: &Path| path.display().to_string();
    let mut load = Child::of_ourselves(
        "load",
        &[
            ("--address", options.address.to_string()),
            ("--task", options.task.name().to_owned()),
            ("--visitors", path(&options.visitors)),
            ("--first", options.first.to_string()),
            ("--count", options.count.to_string()),
            ("--millis", options.millis.to_string()),
        ],
    )?;
    let line = load.line()?;
    serde_json::from_str(&line).with_context(|| format!("the load says: {line}"))
}

/// The role of the child process.
pub(crate) fn generate(options: &LoadOptions) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let outcome = match options.task {
        Task::Poll => runtime.block_on(drive(options, Polling::new(options)?)),
        Task::LogIn => runtime.block_on(drive(options, LoggingIn::new(options)?)),
        Task::Enroll => runtime.block_on(drive(options, Enrolling::new(options)?)),
    };
    println!("{}", serde_json::to_string(&outcome?)?);
    Ok(())
}

/// What a connection does with each visitor.
trait Visit: Clone + Send + 'static {
    const CONNECTIONS: usize;

    /// Serves the next visitor. False: everybody was served.
    fn next(&mut self, line: &mut Line) -> impl Future<Output = Result<bool>> + Send;
}

async fn drive<V: Visit>(options: &LoadOptions, visit: V) -> Result<Outcome> {
    let spent_before = process::processor_time(std::process::id())?;
    let begun = Instant::now();
    let end = begun + Duration::from_millis(options.millis);
    let mut connections = JoinSet::new();
    for _ in 0..V::CONNECTIONS {
        connections.spawn(serve(options.address, visit.clone(), end));
    }
    let mut record = Record::default();
    while let Some(one) = connections.join_next().await {
        record.append(one.context("a connection panicked")??);
    }
    let spent = process::processor_time(std::process::id())?.saturating_sub(spent_before);
    Ok(record.outcome(begun.elapsed(), spent))
}

async fn serve(address: SocketAddr, mut visit: impl Visit, end: Instant) -> Result<Record> {
    let mut line = Line { connection: Connection::open(address).await?, record: Record::default() };
    loop {
        let begun = Instant::now();
        if begun >= end || !visit.next(&mut line).await? {
            return Ok(line.record);
        }
        line.record.push_visit(begun.elapsed());
    }
}

/// A connection, and what was seen on it.
#[derive(Debug)]
struct Line {
    connection: Connection,
    record: Record,
}

impl Line {
    /// Sends a request, records the wait under this name, and reads the answer, which must be a 200.
    async fn call<T>(
        &mut self,
        name: &'static str,
        request: &[u8],
        read: impl FnOnce(Answer<'_>) -> Result<T>,
    ) -> Result<T> {
        let exchanged = self.connection.exchange(request).await;
        let (answer, took) = exchanged.with_context(|| format!("{name} was not answered"))?;
        self.record.push(name, took);
        let said = || format!("{name}: {} {}", answer.status, String::from_utf8_lossy(answer.body));
        ensure!(answer.status == 200, said());
        read(answer).with_context(said)
    }
}

/// Whose turn it is.
#[derive(Debug)]
struct Queue {
    next: AtomicUsize,
    count: usize,
}

impl Queue {
    fn new(options: &LoadOptions) -> Arc<Self> {
        Arc::new(Self { next: AtomicUsize::new(0), count: options.count })
    }

    /// The next visitor; `None` when everybody was served.
    fn once(&self) -> Option<usize> {
        Some(self.next.fetch_add(1, Ordering::Relaxed)).filter(|next| *next < self.count)
    }

    /// The next visitor, round and round, in an order in which no two neighbours lie beside each other in the store.
    fn again(&self) -> usize {
        /// A prime, and so without a divisor in common with any smaller count.
        const STRIDE: usize = 1_000_003;
        self.next.fetch_add(STRIDE, Ordering::Relaxed) % self.count
    }
}
