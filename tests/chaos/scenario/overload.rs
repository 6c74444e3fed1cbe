//! Many times as many calls as the system can serve: it serves as many as before, logins first, and refuses the rest at once.
//!
//! Cores get so little processor time that they serve about a known number of calls. What they serve exactly is measured
//! first, by devices that wait for each answer before they poll again. Each device is in many locations, so that polls are
//! most of the work: a smaller share than they take would come in steps that are coarser than a call.

use std::{
    fs,
    ops::Range,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{BUDGET, CALM, Stage};
use crate::{
    ledger::Ledger,
    load::{Load, Mix, Plan, SLOW, Tally},
    outcome::Outcome,
    people::People,
    quota::Quota,
    visit::{Sample, Visit},
};

/// So many times as many calls come as can be served.
const TIMES: u32 = 10;
/// This machine may stand still now and then.
const OFFERED_MIN: f64 = 0.9;
/// One call of so many that can be served is part of a login.
const LOGIN_PART: u32 = 10;
/// For each tunnel. So few are under way at a time that none is refused, and so many that Cores on Postgres read for several at
/// once, as they do under more.
const CALLERS: usize = 16;
/// Of each device.
const LOCATIONS: u8 = 50;
/// Of a processor, to begin with.
const GUESS: f64 = 0.2;
const MEASURED: Duration = Duration::from_secs(8);
/// Until what had begun under another share is done.
const SETTLING: Duration = Duration::from_secs(1);
const GUESSES: u32 = 5;
/// A guess is off by so many times at most.
const STEP_MAX: f64 = 4.0;
/// The limit may be off by such a part.
const TOLERANCE: f64 = 0.25;
const MEMORY_MAX_KIB: u64 = 256 * 1024;
const REFUSAL_MAX: Duration = Duration::from_millis(20);
const NORMAL_MAX: Duration = Duration::from_secs(2);
/// Before and after.
const CALM_LENGTH: Duration = Duration::from_secs(5);

pub(super) async fn play(stage: &mut Stage<'_>) -> Result<Outcome> {
    for number in 1..=LOCATIONS {
        stage.system.commands().add_location(&format!("Branch {number}"), number, "internal").await?;
    }
    let people = People::gather(stage.system.meeting(), &stage.name, stage.form.members, 0).await?;
    let ledger = Ledger::open(stage.system.commands()).await?;
    let quota = Quota::over(stage.system.cores.iter().map(|core| core.process.pid()))?;
    let (limit, mut all) = find_limit(stage, &people, &quota).await?;

    let (before_polls, before_logins) = Crowd::calm(stage, &people).await?;
    // A process that has used up its share waits for the next period, also when all is well; how often is chance.
    let slow = (2 * before_polls.worst().max(before_logins.worst())).max(SLOW);

    let begun = Instant::now();
    let crowd = Crowd::begin(stage, &people, stage.form.limit * TIMES);
    tokio::time::sleep(stage.form.pressure).await;
    let pressed = begun..Instant::now();
    let (polls, logins) = crowd.end().await?;
    let over = Instant::now();
    let (calm_polls, calm_logins) = Crowd::calm(stage, &people).await?;
    drop(quota);
    tokio::time::sleep(CALM).await;

    let wanted = f64::from(stage.form.limit);
    let offered = polls.samples.len() as f64 / (pressed.end - pressed.start).as_secs_f64();
    let goodput = served(&polls, &pressed) + served(&logins, &pressed);
    let tried = logins.samples.iter().filter(|sample| sample.step == "client-mfa/start").count();
    let succeeded = logins.told.len() as f64 / tried.max(1) as f64;
    let refused = p95_of_refusals(&polls, &logins);
    let memory = stage.system.edges.iter().map(|edge| peak_memory_kib(edge.process.pid())).max().context("no Edge")?;
    for part in [before_polls, before_logins, polls, logins, calm_polls, calm_logins] {
        all.append(part);
    }
    let normal = all.recovery_from(slow, over, Instant::now());
    let refusal_max = REFUSAL_MAX.max(stage.form.noise);
    let verdict = ledger.close(&all).await?;
    let turned_away = all.samples.iter().filter(|sample| is_shed(sample) && sample.step != "poll");
    let why = turned_away.filter_map(|sample| sample.failure.clone()).next_back().unwrap_or_default();
    // What is refused is not failed.
    let shed = all.samples.iter_mut().filter(|sample| is_shed(sample)).map(|sample| sample.failure = None).count();
    let failed_polls = all.failures().filter(|(step, _)| **step == *"poll").count();
    let note = format!("{goodput:.0}/s of {limit:.0}/s, {shed} refused, {:.1} % of logins", 100.0 * succeeded);
    let rest = format!("p95 of refusals {refused:?}, an Edge takes {} MiB at most", memory / 1024);
    let least = stage.form.goodput_min * limit;
    let goodputs = format!("goodput at least {:.0} % of the limit", 100.0 * stage.form.goodput_min);
    let refusals = format!("p95 of refusals within {} ms", refusal_max.as_millis());
    Ok(Outcome::allowing_failures(&stage.name, &all, verdict, BUDGET)
        .recovered("no wait is twice the longest of before", normal, NORMAL_MAX)
        .and("the limit as meant", (limit - wanted).abs() <= TOLERANCE * wanted, String::new())
        .and("ten times as many come", offered >= OFFERED_MIN * wanted * f64::from(TIMES), String::new())
        .and(&goodputs, goodput >= least, note)
        .and("polls are served or refused with 429", failed_polls == 0, String::new())
        .and("95 % of logins succeed", succeeded >= 0.95, rest)
        .and(&refusals, shed > 0 && refused <= refusal_max, String::new())
        .and("an Edge under 256 MiB", memory < MEMORY_MAX_KIB, why))
}

/// Polls and logins beside each other.
#[derive(Debug)]
struct Crowd {
    polls: Load,
    logins: Load,
}

impl Crowd {
    /// So many calls per second, of which as many logins as ever.
    fn begin(stage: &Stage<'_>, people: &People, per_second: u32) -> Self {
        let begin = |mix, per_second| {
            let plan = Plan { people: people.clone(), mix, per_second };
            Load::start(stage.system.client(), plan, &stage.system.hosts.public)
        };
        let logins = stage.form.limit / LOGIN_PART;
        Self { polls: begin(Mix::Polls, per_second - logins), logins: begin(Mix::Logins, logins) }
    }

    /// Half of what can be served, for a while.
    async fn calm(stage: &Stage<'_>, people: &People) -> Result<(Tally, Tally)> {
        let calm = Self::begin(stage, people, stage.form.limit / 2);
        tokio::time::sleep(CALM_LENGTH).await;
        calm.end().await
    }

    async fn end(self) -> Result<(Tally, Tally)> {
        Ok((self.polls.finish().await?, self.logins.finish().await?))
    }
}

/// Leaves Cores so little that they serve about what the form says, and says what they serve.
async fn find_limit(stage: &Stage<'_>, people: &People, quota: &Quota) -> Result<(f64, Tally)> {
    let wanted = f64::from(stage.form.limit);
    let off = |served: f64| (served - wanted).abs();
    // Shares with what they serve: the next lies between the last that served too little and the last that served too much.
    let (mut less, mut more) = ((0.0, 0.0), None);
    let (mut share, mut nearest, mut all) = (GUESS, (GUESS, f64::INFINITY), Tally::default());
    for _ in 0..GUESSES {
        quota.limit(share)?;
        let (served, tally) = capacity(stage, people).await?;
        all.append(tally);
        println!("{}: with {share:.3} of a processor {served:.0}/s are served", stage.name);
        if off(served) < off(nearest.1) {
            nearest = (share, served);
        }
        if off(served) <= wanted * TOLERANCE / 2.0 {
            break;
        }
        if served < wanted {
            less = (share, served);
        } else {
            more = Some((share, served));
        }
        share = between(less, more, wanted).clamp(share / STEP_MAX, share * STEP_MAX);
    }
    quota.limit(nearest.0)?;
    Ok((nearest.1, all))
}

/// The share that serves so many, if what is served grows evenly between these two.
fn between(less: (f64, f64), more: Option<(f64, f64)>, wanted: f64) -> f64 {
    let from = if more.is_some() { less } else { (0.0, 0.0) };
    let to = more.unwrap_or(less);
    from.0 + (wanted - from.1) * (to.0 - from.0) / (to.1 - from.1)
}

/// Calls per second that are served when nobody comes before the one in front is done.
async fn capacity(stage: &Stage<'_>, people: &People) -> Result<(f64, Tally)> {
    let (stop, mut callers) = (CancellationToken::new(), JoinSet::new());
    let logins = stage.form.limit / LOGIN_PART;
    let plan = Plan { people: people.clone(), mix: Mix::Logins, per_second: logins };
    let logins = Load::start(stage.system.client(), plan, &stage.system.hosts.public);
    let tunnels = stage.system.edges.len() * stage.system.cores.len();
    for number in 0..CALLERS * tunnels {
        let (stop, people, client) = (stop.clone(), people.clone(), stage.system.client());
        let calling = async move {
            let mut tally = Tally::default();
            while !stop.is_cancelled() {
                let member = &people.members[number % people.members.len()];
                tally.take(Ok(Visit::new(client.clone()).poll(&member.laptop).await));
            }
            tally
        };
        callers.spawn_on(calling, &stage.system.hosts.public);
    }
    tokio::time::sleep(SETTLING).await;
    let begun = Instant::now();
    tokio::time::sleep(MEASURED).await;
    let measured = begun..Instant::now();
    stop.cancel();
    let mut tally = logins.finish().await?;
    while let Some(caller) = callers.join_next().await {
        tally.append(caller.context("a caller panicked")?);
    }
    Ok((served(&tally, &measured), tally))
}

/// Calls per second that got what they wanted within this time.
fn served(tally: &Tally, during: &Range<Instant>) -> f64 {
    let ended = |sample: &&Sample| sample.failure.is_none() && during.contains(&(sample.at + sample.took));
    tally.samples.iter().filter(ended).count() as f64 / (during.end - during.start).as_secs_f64()
}

fn is_shed(sample: &Sample) -> bool {
    sample.status == Some(429)
}

fn p95_of_refusals(polls: &Tally, logins: &Tally) -> Duration {
    let samples = polls.samples.iter().chain(&logins.samples);
    let mut waits: Vec<_> = samples.filter(|sample| is_shed(sample)).map(|sample| sample.took).collect();
    waits.sort_unstable();
    waits.get((waits.len() * 95).div_ceil(100).saturating_sub(1)).copied().unwrap_or_default()
}

/// The most that a process has ever had in memory.
fn peak_memory_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(u64::MAX)
}
