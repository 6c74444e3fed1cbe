//! SIGKILL of one Edge after the other, under load. Each is started again and ready before the next goes.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::{CALM, PATIENCE, Stage, timed};
use crate::{load::Tally, outcome::Outcome};

const WORST_MAX: Duration = Duration::from_secs(1);
/// An Edge stays away so long.
const AWAY: Duration = Duration::from_secs(1);
const READY_MAX: Duration = Duration::from_secs(3);

pub(super) async fn play(stage: &mut Stage<'_>) -> Result<Outcome> {
    let kills = stage.form.kills;
    let length = (AWAY + CALM) * u32::try_from(kills)?;
    let (running, _) = stage.begin(length).await?;
    let mut ready = Duration::ZERO;
    for kill in 0..kills {
        let next = kill % stage.system.edges.len();
        let edge = &mut stage.system.edges[next];
        edge.process.kill()?;
        let killed = Instant::now();
        tokio::time::sleep(AWAY.saturating_sub(killed.elapsed())).await;
        edge.process.start_again()?;
        ready = ready.max(timed(edge.ready(true, PATIENCE)).await?);
    }
    let (tally, verdict) = running.end(Tally::default()).await?;
    Ok(Outcome::of(&stage.name, &tally, verdict, WORST_MAX).recovered("a new Edge is ready", ready, READY_MAX))
}
