//! Every Edge and then every Core is restarted, one after the other, while people wait on websockets for somebody to say yes.

use std::time::Duration;

use anyhow::{Result, ensure};
use postern_tests::Process;

use super::{BUDGET, PATIENCE, Stage, timed, websockets::Websockets};
use crate::outcome::Outcome;

const READY_MAX: Duration = Duration::from_secs(3);
/// What a stopping Edge may take beyond the longest wait of a person; a Core hands its waits over and needs no longer.
const END_MAX: Duration = Duration::from_secs(5);

pub(super) async fn play(stage: &mut Stage<'_>) -> Result<Outcome> {
    let (rounds, edges, cores) = (stage.form.rounds, stage.system.edges.len(), stage.system.cores.len());
    let round_max = (stage.form.approval_max + END_MAX) * u32::try_from(edges)? + END_MAX * u32::try_from(cores)?;
    // Each waits for one approval at a time, as people do.
    let members = stage.form.members.max(stage.form.websockets);
    let (mut running, people) = stage.begin_with(members, round_max * u32::try_from(rounds)?).await?;
    let sockets = Websockets::open(&stage.system, &people, stage.form.websockets, stage.form.approval_max);
    sockets.all_open().await?;
    let (mut ready, mut ending) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..rounds {
        for number in 0..edges + cores {
            let system = &mut stage.system;
            let process = match number.checked_sub(edges) {
                None => &mut system.edges[number].process,
                Some(core) => &mut system.cores[core].process,
            };
            ending = ending.max(timed(restart(process)).await?);
            ready = ready.max(timed(stage.system.linked(PATIENCE)).await?);
            running.ledger.read_on().await?;
        }
    }
    let waited = sockets.finish().await?;
    let delivered = waited.samples.iter().filter(|sample| sample.step == "key delivered").count();
    let (tally, verdict) = running.end(waited).await?;
    let note = format!("{delivered} approvals; the slowest end took {} ms", ending.as_millis());
    Ok(Outcome::of(&stage.name, &tally, verdict, BUDGET)
        .recovered("a new Edge or Core is ready", ready, READY_MAX)
        .and("every approval delivered", delivered > 0, note))
}

/// Asks it to end, and starts it again at once.
async fn restart(process: &mut Process) -> Result<()> {
    process.signal("TERM")?;
    let status = process.ended(PATIENCE).await?;
    ensure!(status.success(), "it ended with {status}");
    process.start_again()
}
