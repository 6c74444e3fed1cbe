//! Every Edge is restarted, one after the other, while people wait on websockets for somebody to say yes.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::{BUDGET, PATIENCE, Stage, timed, websockets::Websockets};
use crate::outcome::Outcome;

const READY_MAX: Duration = Duration::from_secs(3);
/// What a stopping Edge may take beyond the longest wait of a person.
const END_MAX: Duration = Duration::from_secs(5);

pub(super) async fn play(stage: &mut Stage<'_>) -> Result<Outcome> {
    let (rounds, edges) = (stage.form.rounds, stage.system.edges.len());
    let restart_max = stage.form.approval_max + END_MAX;
    let (mut running, people) = stage.begin(restart_max * u32::try_from(rounds * edges)?).await?;
    let sockets = Websockets::open(&stage.system, &people, stage.form.websockets, stage.form.approval_max);
    let (mut ready, mut ending) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..rounds {
        for number in 0..edges {
            let edge = &mut stage.system.edges[number];
            let asked = Instant::now();
            edge.process.signal("TERM")?;
            let status = edge.process.ended(PATIENCE).await?;
            ensure!(status.success(), "{} ended with {status}", edge.name);
            ending = ending.max(asked.elapsed());
            edge.process.start_again()?;
            ready = ready.max(timed(edge.ready(true, PATIENCE)).await?);
            running.ledger.read_on().await?;
        }
    }
    let waited = sockets.finish().await?;
    let delivered = waited.samples.iter().filter(|sample| sample.step == "key delivered").count();
    let (tally, verdict) = running.end(waited).await?;
    let note = format!("{delivered} approvals; the slowest Edge ended after {} ms", ending.as_millis());
    Ok(Outcome::of(&stage.name, &tally, verdict, BUDGET).recovered("a new Edge is ready", ready, READY_MAX).and(
        "every approval delivered",
        delivered > 0,
        note,
    ))
}
