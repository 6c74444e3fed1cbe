//! SIGKILL of one Core after the other, under load. Each is started again and serves every Edge before the next goes.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::{CALM, PATIENCE, Stage, timed};
use crate::{load::Tally, outcome::Outcome};

const WORST_MAX: Duration = Duration::from_secs(2);
/// A Core stays away so long.
const AWAY: Duration = Duration::from_secs(1);
const READY_MAX: Duration = Duration::from_secs(3);

pub(super) async fn play(stage: &mut Stage<'_>) -> Result<Outcome> {
    let kills = stage.form.kills;
    let (running, _) = stage.begin((AWAY + CALM) * u32::try_from(kills)?).await?;
    let asked_before = stage.system.asked_again().await?;
    let mut ready = Duration::ZERO;
    for kill in 0..kills {
        let next = kill % stage.system.cores.len();
        let core = &mut stage.system.cores[next];
        core.process.kill()?;
        let killed = Instant::now();
        tokio::time::sleep(AWAY.saturating_sub(killed.elapsed())).await;
        core.process.start_again()?;
        ready = ready.max(timed(stage.system.linked(PATIENCE)).await?);
    }
    let asked = stage.system.asked_again().await? - asked_before;
    let (tally, verdict) = running.end(Tally::default()).await?;
    let outcome = Outcome::of(&stage.name, &tally, verdict, WORST_MAX);
    let note = format!("Edges asked the other Core for {asked} calls");
    Ok(outcome.recovered("a new Core serves every Edge", ready, READY_MAX).noting(note))
}
