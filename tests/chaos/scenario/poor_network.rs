//! Tunnels over a poor network: every packet late and each a little differently, some lost, and little room.

use std::time::Duration;

use anyhow::{Context, Result};
use postern_tests::fault_proxy::Delay;

use super::{BUDGET, PATIENCE, Stage};
use crate::{
    faults::{self, Fault},
    load::Tally,
    outcome::Outcome,
};

const DELAY: Delay = Delay { least: Duration::from_millis(75), jitter: Duration::from_millis(50) };
const LOSS_PERCENT: u8 = 2;
/// Each Edge has so much for all that it sends.
const RATE_KBIT: u32 = 4_000;

pub(super) async fn play(stage: &mut Stage<'_>) -> Result<Outcome> {
    let relay = stage.system.relay.as_ref().context("a poor network needs a relay")?;
    relay.delay(DELAY);
    relay.cut_all();
    stage.system.ready(PATIENCE).await?;
    let (running, _) = stage.begin(stage.form.outage).await?;
    for host in &stage.place.edges {
        faults::inflict(host, Fault::Loss(LOSS_PERCENT))?;
        faults::inflict(host, Fault::Rate(RATE_KBIT))?;
    }
    tokio::time::sleep(stage.form.outage).await;
    for host in &stage.place.edges {
        faults::heal(host)?;
    }
    let (tally, verdict) = running.end(Tally::default()).await?;
    let what = format!(
        "with {:?} to {:?} each way, {LOSS_PERCENT} % lost, {RATE_KBIT} kbit/s",
        DELAY.least,
        DELAY.least + DELAY.jitter
    );
    let median = tally.median();
    let outcome = Outcome::of(&stage.name, &tally, verdict, BUDGET);
    Ok(outcome.and(&what, median >= 2 * DELAY.least, format!("median wait {median:?}")))
}
