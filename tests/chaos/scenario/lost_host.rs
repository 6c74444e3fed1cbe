//! One Edge's host vanishes: nobody there refuses anything, and what is sent to it gets no answer.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::{BUDGET, PATIENCE, Stage, timed};
use crate::{
    faults::{self, Fault},
    load::{SLOW, Tally},
    outcome::Outcome,
};

/// The tunnel is dialled again while the host is away, at most this often; and it was given up before.
const BACK_MAX: Duration = Duration::from_secs(3);

pub(super) async fn play(stage: &mut Stage<'_>) -> Result<Outcome> {
    let (running, _) = stage.begin(stage.form.outage).await?;
    let host = &stage.place.edges[0];
    faults::inflict(host, Fault::BlackHole)?;
    let begun = Instant::now();
    tokio::time::sleep(stage.form.outage).await;
    faults::heal(host)?;
    let healed = Instant::now();
    let back = timed(stage.system.edges[0].ready(true, PATIENCE)).await?;
    let (tally, verdict) = running.end(Tally::default()).await?;
    let during = |wait: Duration| {
        tally.samples.iter().filter(|sample| sample.took > wait && (begun..healed).contains(&sample.at)).count()
    };
    let (met, silent) = (during(SLOW), during(Duration::from_secs(2)));
    let note = format!("{met} calls met the vanished host, {silent} of them on a connection that was open already");
    Ok(Outcome::of(&stage.name, &tally, verdict, BUDGET).recovered("it serves again", back, BACK_MAX).and(
        "some calls met it",
        met > 0,
        note,
    ))
}
