//! Postgres is restarted under load: once in order, once as after a crash.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use postern_tests::postgres::Ending;

use super::{BUDGET, CALM, Stage};
use crate::{load::Tally, outcome::Outcome, visit::Sample};

/// Longer than a restart takes, so that people notice it.
const AWAY: Duration = Duration::from_secs(2);
const NORMAL_MAX: Duration = Duration::from_secs(3);
/// For each restart.
const WATCHED: Duration = Duration::from_secs(8);

/// Of one restart.
#[derive(Debug)]
struct Restart {
    back: Instant,
    watched_until: Instant,
}

pub(super) async fn play(stage: &mut Stage<'_>) -> Result<Outcome> {
    let endings = [Ending::Fast, Ending::Immediate];
    let (running, _) = stage.begin((AWAY + WATCHED) * u32::try_from(endings.len())?).await?;
    let database = stage.system.database.as_ref().context("no Postgres")?;
    let host = &stage.place.database;
    let mut restarts = Vec::new();
    for ending in endings {
        database.end(host, ending)?;
        tokio::time::sleep(AWAY).await;
        database.start_again(host)?;
        let back = Instant::now();
        tokio::time::sleep(WATCHED).await;
        restarts.push(Restart { back, watched_until: Instant::now() });
    }
    tokio::time::sleep(CALM).await;
    let (tally, verdict) = running.end(Tally::default()).await?;

    let normal = restarts.iter().map(|restart| tally.recovery(restart.back, restart.watched_until)).max();
    let is_refused = |sample: &&Sample| sample.failure.is_some() && sample.status == Some(503);
    let refused: Vec<_> = tally.samples.iter().filter(is_refused).collect();
    let other = tally.failures().count() - refused.len();
    let slowest = refused.iter().map(|sample| sample.took).max().unwrap_or_default();
    let note = format!("{} calls were answered with 503, the slowest after {slowest:?}", refused.len());
    Ok(Outcome::allowing_failures(&stage.name, &tally, verdict, BUDGET)
        .recovered("normal", normal.unwrap_or_default(), NORMAL_MAX)
        .and("every failure is a 503", other == 0, note)
        .and("nothing half done", verdict.half_done == 0, String::new()))
}
