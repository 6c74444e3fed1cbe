//! A steady stream of calls while something goes wrong, and what became of each of them.

use std::{collections::BTreeMap, fmt, time::Duration};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::Client;

/// No load runs longer than this, whatever a test forgets.
const LONGEST: Duration = Duration::from_secs(90);

/// Calls that are being sent until [`Load::finish`].
#[derive(Debug)]
pub struct Load {
    stop: CancellationToken,
    sender: JoinSet<Summary>,
}

/// One call.
#[derive(Debug, Clone)]
pub struct Sample {
    /// When it was sent, from the start of the load.
    pub at: Duration,
    /// None when no answer came.
    pub status: Option<u16>,
    pub took: Duration,
    pub is_json: bool,
    /// Which Edge answered.
    pub edge: String,
}

/// All calls of a load.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    pub samples: Vec<Sample>,
}

impl Load {
    /// Sends `poll` with this token at a fixed rate, whether or not answers come.
    pub fn polls(client: Client, token: &str, per_second: u32) -> Self {
        let stop = CancellationToken::new();
        let mut sender = JoinSet::new();
        sender.spawn(send_until(stop.clone(), client, json!({ "token": token }), per_second));
        Self { stop, sender }
    }

    /// Stops sending, waits for what is under way, and says what happened.
    pub async fn finish(mut self) -> Result<Summary> {
        self.stop.cancel();
        self.sender.join_next().await.context("the load was never started")?.context("the load panicked")
    }
}

async fn send_until(stop: CancellationToken, client: Client, body: Value, per_second: u32) -> Summary {
    let begun = tokio::time::Instant::now();
    let mut tick = tokio::time::interval(Duration::from_secs(1) / per_second);
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut calls = JoinSet::new();
    while begun.elapsed() < LONGEST {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = tick.tick() => {}
        }
        let (client, body) = (client.clone(), body.clone());
        calls.spawn(async move { call(&client, &body, begun).await });
    }
    let mut samples = calls.join_all().await;
    samples.sort_by_key(|sample| sample.at);
    Summary { samples }
}

async fn call(client: &Client, body: &Value, begun: tokio::time::Instant) -> Sample {
    let at = begun.elapsed();
    match client.post("/api/v1/poll", body).await {
        Ok(reply) => Sample {
            at,
            status: Some(reply.status),
            took: reply.took,
            is_json: reply.json().is_ok(),
            edge: reply.header("x-postern-edge").to_owned(),
        },
        Err(_) => Sample { at, status: None, took: begun.elapsed() - at, is_json: false, edge: String::new() },
    }
}

impl Summary {
    pub fn sent(&self) -> usize {
        self.samples.len()
    }

    /// Calls that were not answered with 200.
    pub fn failed(&self) -> usize {
        self.samples.iter().filter(|sample| sample.status != Some(200)).count()
    }

    pub fn not_json(&self) -> usize {
        self.samples.iter().filter(|sample| !sample.is_json).count()
    }

    /// The longest that anybody waited for an answer of any kind.
    pub fn worst(&self) -> Duration {
        self.samples.iter().map(|sample| sample.took).max().unwrap_or_default()
    }

    /// The 99th percentile of the time to an answer with this status.
    pub fn p99_of(&self, status: u16) -> Option<Duration> {
        let with_status = self.samples.iter().filter(|sample| sample.status == Some(status));
        let mut took: Vec<_> = with_status.map(|sample| sample.took).collect();
        took.sort_unstable();
        took.get((took.len() * 99).div_ceil(100).saturating_sub(1)).copied()
    }

    /// How many answers there were of each status; 0 stands for none.
    pub fn statuses(&self) -> BTreeMap<u16, usize> {
        let mut statuses = BTreeMap::new();
        for sample in &self.samples {
            *statuses.entry(sample.status.unwrap_or_default()).or_default() += 1;
        }
        statuses
    }

    /// How many calls each Edge answered.
    pub fn edges(&self) -> BTreeMap<&str, usize> {
        let mut edges = BTreeMap::new();
        for sample in self.samples.iter().filter(|sample| !sample.edge.is_empty()) {
            *edges.entry(sample.edge.as_str()).or_default() += 1;
        }
        edges
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sent, failed, worst) = (self.sent(), self.failed(), self.worst().as_millis());
        write!(
            f,
            "sent {sent}, failed {failed}, worst wait {worst} ms, statuses {:?}, by {:?}",
            self.statuses(),
            self.edges()
        )
    }
}
