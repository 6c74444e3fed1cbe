//! One Edge freezes, and goes on later as if nothing had been.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::{BUDGET, PATIENCE, Stage, timed};
use crate::{load::Tally, outcome::Outcome};

const BACK_MAX: Duration = Duration::from_secs(3);

pub(super) async fn play(stage: &mut Stage<'_>) -> Result<Outcome> {
    let (running, _) = stage.begin(stage.form.outage).await?;
    let edge = &stage.system.edges[0];
    edge.process.signal("STOP")?;
    let stopped = Instant::now();
    tokio::time::sleep(stage.form.outage).await;
    edge.process.signal("CONT")?;
    let gone_on = Instant::now();
    let back = timed(edge.ready(true, PATIENCE)).await?;
    let (tally, verdict) = running.end(Tally::default()).await?;
    let met = tally.samples.iter().filter(|sample| sample.took > Duration::from_secs(2)).count();
    let after = tally.recovery(gone_on, Instant::now());
    let outcome =
        Outcome::of(&stage.name, &tally, verdict, BUDGET).recovered("it serves again", back.max(after), BACK_MAX);
    let spell = gone_on - stopped;
    Ok(outcome.and("some calls met it", met > 0, format!("{met} calls met the frozen Edge in {spell:?}")))
}
