//! One Edge's process is well, but its tunnels are cut, and refused for a while.

use std::time::{Duration, Instant};

use anyhow::Result;
use postern_tests::eventually;

use super::{BUDGET, PATIENCE, Stage, timed};
use crate::{
    faults::{self, Fault},
    load::Tally,
    outcome::Outcome,
};

const BACK_MAX: Duration = Duration::from_secs(3);

pub(super) async fn play(stage: &mut Stage<'_>) -> Result<Outcome> {
    let (running, _) = stage.begin(stage.form.outage).await?;
    let (edge, host) = (&stage.system.edges[0], &stage.place.edges[0]);
    let begun = Instant::now();
    faults::inflict(host, Fault::Cut)?;
    let ended = lasts(stage, begun).await;
    faults::heal(host)?;
    let told = ended?;
    let back = timed(edge.ready(true, PATIENCE)).await?;
    stage.system.linked(PATIENCE).await?;
    let (tally, verdict) = running.end(Tally::default()).await?;
    let outcome = Outcome::of(&stage.name, &tally, verdict, BUDGET).recovered("it serves again", back, BACK_MAX);
    Ok(outcome.noting(format!("the Edge said 503 after {told:?}")))
}

/// Waits until the Edge says that it has no tunnel, and the whole outage is over.
async fn lasts(stage: &Stage<'_>, begun: Instant) -> Result<Duration> {
    let edge = &stage.system.edges[0];
    edge.ready(false, PATIENCE).await?;
    let told = begun.elapsed();
    eventually("the outage is over", PATIENCE, || async { begun.elapsed() >= stage.form.outage }).await?;
    Ok(told)
}
