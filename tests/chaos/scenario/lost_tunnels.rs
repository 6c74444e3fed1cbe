//! One Edge's process is well, but its tunnels are not: cut and refused, or silent in one direction.

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
/// Nothing but a tunnel that is silent takes so long.
const MET: Duration = Duration::from_secs(2);
/// With one Core there is no other tunnel to prefer, so a silent one is used until it is given up, after 6 s.
const AVOIDED_MAX: Duration = Duration::from_secs(7);

pub(super) async fn play(stage: &mut Stage<'_>, fault: Fault) -> Result<Outcome> {
    let (running, _) = stage.begin(stage.form.outage).await?;
    let (edge, host) = (&stage.system.edges[0], &stage.place.edges[0]);
    let begun = Instant::now();
    faults::inflict(host, fault)?;
    let ended = lasts(stage, begun).await;
    faults::heal(host)?;
    let healed = Instant::now();
    let told = ended?;
    let back = timed(edge.ready(true, PATIENCE)).await?;
    let (tally, verdict) = running.end(Tally::default()).await?;
    let met = tally.samples.iter().filter(|sample| sample.took > MET && (begun..healed).contains(&sample.at));
    let waits: Vec<_> = met.map(|sample| sample.at.duration_since(begun)).collect();
    let avoided = waits.iter().max().copied().unwrap_or_default();
    let note = format!("{} calls met it, the last after {avoided:?}; the Edge said 503 after {told:?}", waits.len());
    Ok(Outcome::of(&stage.name, &tally, verdict, BUDGET).recovered("it serves again", back, BACK_MAX).and(
        &format!("nobody meets it later than {} ms", AVOIDED_MAX.as_millis()),
        avoided <= AVOIDED_MAX,
        note,
    ))
}

/// Waits until the Edge says that it has no tunnel, and the whole outage is over.
async fn lasts(stage: &Stage<'_>, begun: Instant) -> Result<Duration> {
    let edge = &stage.system.edges[0];
    edge.ready(false, PATIENCE).await?;
    let told = begun.elapsed();
    eventually("the outage is over", PATIENCE, || async { begun.elapsed() >= stage.form.outage }).await?;
    Ok(told)
}
