//! Containers are killed and restarted while people call 200 times a second through the published port.

use std::time::{Duration, Instant};

use anyhow::Result;
use postern_tests::traffic::{
    ledger::Ledger,
    load::{ENROLLMENT_EVERY, Load, Mix, Plan},
    outcome::Outcome as Judged,
    people::People,
};

use super::Stage;
use crate::{
    outcome::Outcome,
    stack::{CORES, EDGES},
};

const PER_SECOND: u32 = 200;
const MEMBERS: usize = 20;
/// Before and after what goes wrong, everything is well for so long.
const CALM: Duration = Duration::from_secs(2);
/// The longest that one of these may take; people who come late find nobody to be.
const LONGEST: Duration = Duration::from_secs(120);
/// An Edge stays away so long.
const AWAY: Duration = Duration::from_secs(2);
/// A call meets an Edge or a Core that goes, and is passed on.
const WORST_MAX: Duration = Duration::from_secs(1);
/// Core is drained, which costs nobody more than a second try.
const BUDGET: Duration = Duration::from_millis(4200);

pub(super) async fn kill_edge(stage: &mut Stage<'_>) -> Result<Outcome> {
    let begun = begin(stage, "kill-edge").await?;
    stage.stack.docker(&["kill"], EDGES[0]).await?;
    tokio::time::sleep(AWAY).await;
    let started = Instant::now();
    stage.stack.docker(&["start"], EDGES[0]).await?;
    stage.stack.linked().await?;
    let ready = started.elapsed();
    Ok(end(stage, "kill-edge", begun, WORST_MAX).await?.figure("ready_seconds", seconds(ready)))
}

pub(super) async fn restart_edges(stage: &mut Stage<'_>) -> Result<Outcome> {
    restart(stage, "restart-edges", &EDGES, WORST_MAX).await
}

pub(super) async fn restart_cores(stage: &mut Stage<'_>) -> Result<Outcome> {
    restart(stage, "restart-cores", &CORES, BUDGET).await
}

/// One after the other, each ready before the next goes.
async fn restart(stage: &mut Stage<'_>, name: &str, services: &[&str], worst_max: Duration) -> Result<Outcome> {
    let begun = begin(stage, name).await?;
    let mut slowest = Duration::ZERO;
    for service in services {
        let started = Instant::now();
        stage.stack.docker(&["restart"], service).await?;
        stage.stack.linked().await?;
        slowest = slowest.max(started.elapsed());
    }
    Ok(end(stage, name, begun, worst_max).await?.figure("restart_to_ready_seconds", seconds(slowest)))
}

/// Calls until so many have been sent to this stack in all.
pub(super) async fn send(stage: &mut Stage<'_>, name: &str, sent: usize) -> Result<()> {
    let missing = sent.saturating_sub(stage.sent);
    let begun = begin(stage, name).await?;
    tokio::time::sleep(Duration::from_secs_f64(missing as f64 / f64::from(PER_SECOND))).await;
    end(stage, name, begun, WORST_MAX).await.map(drop)
}

async fn begin(stage: &Stage<'_>, name: &str) -> Result<(Load, Ledger)> {
    let meeting = stage.stack.meeting().await?;
    let (commands, client, threads) = (meeting.commands.clone(), meeting.client.clone(), meeting.threads.clone());
    let invited = (f64::from(PER_SECOND) * LONGEST.as_secs_f64()) as usize / ENROLLMENT_EVERY;
    let people = People::gather(meeting, name, MEMBERS, invited).await?;
    let ledger = Ledger::open(commands).await?;
    let load = Load::start(client, Plan { people, mix: Mix::Everything, per_second: PER_SECOND }, &threads);
    tokio::time::sleep(CALM).await;
    Ok((load, ledger))
}

async fn end(stage: &mut Stage<'_>, name: &str, begun: (Load, Ledger), worst_max: Duration) -> Result<Outcome> {
    tokio::time::sleep(CALM).await;
    let (load, ledger) = begun;
    let tally = load.finish().await?;
    stage.sent += tally.samples.len();
    let verdict = ledger.close(&tally).await?;
    let judged = Judged::of(name, &tally, verdict, worst_max);
    for note in judged.notes.iter().filter(|note| !note.is_empty()) {
        eprintln!("{name}: {note}");
    }
    Ok(Outcome::new(name, &judged.target)
        .figure("sent", judged.sent)
        .figure("failed", judged.failed)
        .figure("dup", judged.duplicates)
        .figure("worst_ms", judged.worst.as_millis())
        .and(judged.is_met))
}

fn seconds(duration: Duration) -> String {
    format!("{:.1}", duration.as_secs_f64())
}
