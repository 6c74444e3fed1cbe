//! One of two Cores is there and not there: frozen inside a transaction, or cut off without a word in one direction.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use postern_tests::{Namespace, eventually};

use super::{BUDGET, CALM, PATIENCE, Stage, timed};
use crate::{
    faults::{self, Fault},
    load::Tally,
    outcome::Outcome,
    place::core_address,
    system::Database,
    visit::STRAY,
};

const BACK_MAX: Duration = Duration::from_secs(3);
/// Who calls later than this after the beginning does not meet it.
const AVOIDED_MAX: Duration = Duration::from_secs(3);
/// Nothing but a Core that is silent takes so long.
const MET: Duration = Duration::from_secs(1);
/// What a frozen Core holds, the server takes away after 1 s; the rest is for looking.
const LOCKED_MAX: Duration = Duration::from_secs(2);
/// Times that a Core is frozen until it holds a transaction with changes.
const TRIES: usize = 400;
/// Its requests, counted after it is back.
const SERVED: u64 = 10;

/// The longest that anybody waits for a lock at this moment, in milliseconds.
const LOCK_WAIT: &str = "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - query_start) * 1000), 0)::bigint \
     FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";

/// What is the matter with the first Core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    Frozen,
    /// The Edges do not hear it.
    Mute,
    /// It does not hear the Edges.
    Deaf,
}

/// When it began and ended, and what was seen of it.
#[derive(Debug)]
struct Outage {
    begun: Instant,
    healed: Instant,
    back: Duration,
    locked: Duration,
    tries: usize,
}

pub(super) async fn play(stage: &mut Stage<'_>, losses: &[Loss]) -> Result<Outcome> {
    let each = stage.form.outage + 2 * CALM;
    let (running, _) = stage.begin(each * u32::try_from(losses.len())?).await?;
    let mut outages = Vec::new();
    for loss in losses {
        outages.push(lose(stage, *loss).await?);
        tokio::time::sleep(CALM).await;
    }
    let (tally, verdict) = running.end(Tally::default()).await?;

    let met = |outage: &Outage| {
        let within = tally.samples.iter().filter(|sample| (outage.begun..outage.healed).contains(&sample.at));
        within.filter(|sample| sample.took > MET).map(|sample| sample.at - outage.begun).collect::<Vec<_>>()
    };
    let waits: Vec<_> = outages.iter().map(met).collect();
    let avoided = waits.iter().flatten().max().copied().unwrap_or_default();
    let locked = outages.iter().map(|outage| outage.locked).max().unwrap_or_default();
    let back = outages.iter().map(|outage| outage.back).max().unwrap_or_default();
    let stray = tally.failures().filter(|(_, failure)| failure.starts_with(STRAY)).count();
    let note = |(loss, (outage, waits)): (&Loss, (&Outage, &Vec<Duration>))| {
        let (last, tries) = (waits.iter().max().copied().unwrap_or_default(), outage.tries);
        format!("{loss:?} at try {tries}: {} calls met it, the last after {last:?}", waits.len())
    };
    let notes = losses.iter().zip(outages.iter().zip(&waits)).map(note).collect::<Vec<_>>().join("; ");
    Ok(Outcome::of(&stage.name, &tally, verdict, BUDGET)
        .recovered("the Core serves every Edge again", back, BACK_MAX)
        .and("avoided within 3 s", avoided <= AVOIDED_MAX, notes)
        .and("nobody waits for a lock longer than 2 s", locked <= LOCKED_MAX, format!("{locked:?} for a lock"))
        .and("no stale reply", stray == 0, String::new()))
}

async fn lose(stage: &Stage<'_>, loss: Loss) -> Result<Outage> {
    let (host, core) = (&stage.place.cores[0], &stage.system.cores[0]);
    let database = stage.system.database.as_ref().context("two Cores have a Postgres")?;
    let mut tries = 1;
    match loss {
        Loss::Frozen => tries = freeze_inside_a_transaction(stage, database).await?,
        Loss::Mute => faults::inflict(host, Fault::Mute)?,
        Loss::Deaf => faults::inflict(host, Fault::Deaf)?,
    }
    let begun = Instant::now();
    let mut locked = Duration::ZERO;
    while begun.elapsed() < stage.form.outage {
        locked = locked.max(lock_wait(database, &stage.place.database)?);
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    match loss {
        Loss::Frozen => core.process.signal("CONT")?,
        Loss::Mute | Loss::Deaf => faults::heal(host)?,
    }
    let healed = Instant::now();
    let back = timed(serves_again(stage, host)).await?;
    Ok(Outage { begun, healed, back, locked, tries })
}

/// Stops the Core at a moment at which it has changed something and not committed it.
async fn freeze_inside_a_transaction(stage: &Stage<'_>, database: &Database) -> Result<usize> {
    let core = &stage.system.cores[0];
    let holds = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE client_addr = '{}' AND backend_xid IS NOT NULL \
         AND state LIKE 'idle in transaction%'",
        core_address(1)
    );
    for number in 1..=TRIES {
        core.process.signal("STOP")?;
        if database.ask(&stage.place.database, &holds)?.trim() != "0" {
            return Ok(number);
        }
        core.process.signal("CONT")?;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    bail!("the Core was never frozen inside a transaction, in {TRIES} tries")
}

fn lock_wait(database: &Database, host: &Namespace) -> Result<Duration> {
    let waited = database.ask(host, LOCK_WAIT)?;
    Ok(Duration::from_millis(waited.trim().parse().context("no number of milliseconds")?))
}

/// Every Edge has a tunnel of the Core, and requests go there.
async fn serves_again(stage: &Stage<'_>, host: &Namespace) -> Result<()> {
    stage.system.linked(PATIENCE).await?;
    let core = &stage.system.cores[0];
    let before = core.answered(host)?;
    let grows = || async { core.answered(host).is_ok_and(|now| now >= before + SERVED) };
    eventually("the Core answers requests again", PATIENCE, grows).await.map(drop)
}
