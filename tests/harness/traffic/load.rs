//! Calls at a fixed rate, whether or not answers come, and what became of each.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use tokio::{runtime::Handle, task::JoinSet, time::sleep_until};
use tokio_util::sync::CancellationToken;

use super::{
    people::People,
    visit::{Effect, Sample, Visit},
};
use crate::Client;

/// No load runs longer, whatever a scenario forgets.
const LONGEST: Duration = Duration::from_mins(10);
/// One visit of so many is a login, which has two calls, and one of so many an enrollment, which has three.
const LOGIN_EVERY: usize = 25;
pub const ENROLLMENT_EVERY: usize = 500;
/// Calls that are due are made up for, all at once, unless this machine itself stood still for longer: nobody would call then.
const LATE_MAX: Duration = Duration::from_millis(150);
/// A call that took longer has met what went wrong.
pub const SLOW: Duration = Duration::from_millis(200);

/// Calls that are being sent until [`Load::finish`].
#[derive(Debug)]
pub struct Load {
    stop: CancellationToken,
    sender: JoinSet<Tally>,
}

/// All calls of a load, what they asked for, and what they were told has happened.
#[derive(Debug, Default)]
pub struct Tally {
    pub samples: Vec<Sample>,
    pub asked: Vec<Effect>,
    pub told: Vec<Effect>,
    /// How long this machine stood still, each time.
    pub stalls: Vec<Duration>,
}

/// Who calls, for what, and how often.
#[derive(Debug, Clone)]
pub struct Plan {
    pub people: People,
    pub mix: Mix,
    pub per_second: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mix {
    /// Polls, logins and enrollments.
    Everything,
    Polls,
    Logins,
}

impl Load {
    /// From the host that these threads are on.
    pub fn start(client: Client, plan: Plan, threads: &Handle) -> Self {
        let stop = CancellationToken::new();
        let mut sender = JoinSet::new();
        sender.spawn_on(send_until(stop.clone(), client, plan), threads);
        Self { stop, sender }
    }

    /// Stops sending, waits for what is under way, and says what happened.
    pub async fn finish(mut self) -> Result<Tally> {
        self.stop.cancel();
        self.sender.join_next().await.context("the load was never started")?.context("the load panicked")
    }
}

async fn send_until(stop: CancellationToken, client: Client, plan: Plan) -> Tally {
    let (begun, interval) = (Instant::now(), plan.between_visits());
    let (mut visits, mut tally, mut number) = (JoinSet::new(), Tally::default(), 0);
    let mut due = begun;
    while begun.elapsed() < LONGEST {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(visit) = visits.join_next() => tally.take(visit),
            () = sleep_until(due.into()) => {
                let late = due.elapsed();
                if late > LATE_MAX {
                    tally.stalls.push(late);
                    due += late;
                }
                visits.spawn(plan.clone().visit(Visit::new(client.clone()), number));
                (due, number) = (due + interval, number + 1);
            }
        }
    }
    while let Some(visit) = visits.join_next().await {
        tally.take(visit);
    }
    tally
}

impl Plan {
    fn between_visits(&self) -> Duration {
        let calls = match self.mix {
            Mix::Everything => 1.0 + 1.0 / LOGIN_EVERY as f64 + 2.0 / ENROLLMENT_EVERY as f64,
            Mix::Polls => 1.0,
            Mix::Logins => 2.0,
        };
        Duration::from_secs_f64(calls / f64::from(self.per_second))
    }

    async fn visit(self, visit: Visit, number: usize) -> Visit {
        let People { members, invited } = self.people;
        if self.mix == Mix::Logins {
            return visit.log_in(&members[number % members.len()]).await;
        }
        if self.mix == Mix::Everything {
            if number.is_multiple_of(LOGIN_EVERY) {
                return visit.log_in(&members[number / LOGIN_EVERY % members.len()]).await;
            }
            if let (1, Some(invited)) = (number % ENROLLMENT_EVERY, invited.get(number / ENROLLMENT_EVERY)) {
                return visit.enroll(invited).await;
            }
        }
        let member = &members[number % members.len()];
        let device = if number.is_multiple_of(2) { &member.phone } else { &member.laptop };
        visit.poll(device).await
    }
}

impl Tally {
    /// Adds a visit that has ended.
    pub fn take(&mut self, visit: Result<Visit, tokio::task::JoinError>) {
        let visit = visit.expect("a visit neither panics nor is cancelled");
        self.samples.extend(visit.samples);
        self.asked.extend(visit.asked);
        self.told.extend(visit.told);
    }

    pub fn append(&mut self, other: Self) {
        self.samples.extend(other.samples);
        self.asked.extend(other.asked);
        self.told.extend(other.told);
        self.stalls.extend(other.stalls);
    }

    pub fn failures(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.samples.iter().filter_map(|sample| Some((sample.step, sample.failure.as_deref()?)))
    }

    /// The longest that anybody waited for an answer of any kind.
    pub fn worst(&self) -> Duration {
        self.samples.iter().map(|sample| sample.took).max().unwrap_or_default()
    }

    pub fn median(&self) -> Duration {
        self.percentile(50)
    }

    pub fn p99(&self) -> Duration {
        self.percentile(99)
    }

    fn percentile(&self, percent: usize) -> Duration {
        let mut waits: Vec<_> = self.samples.iter().map(|sample| sample.took).collect();
        waits.sort_unstable();
        waits.get((waits.len() * percent).div_ceil(100).saturating_sub(1)).copied().unwrap_or_default()
    }

    /// From `fault` until people were served as ever, before `end`: no call failed any more, and not more than now and then one
    /// was slow.
    pub fn recovery(&self, fault: Instant, end: Instant) -> Duration {
        self.recovery_from(SLOW, fault, end)
    }

    /// The same where a call is slow when it takes longer than that.
    pub fn recovery_from(&self, too_long: Duration, fault: Instant, end: Instant) -> Duration {
        const SPAN: Duration = Duration::from_millis(250);
        const SLOW_PART: usize = 10;
        let mut spans = BTreeMap::<u128, (usize, usize)>::new();
        let mut last_failure = Duration::ZERO;
        for sample in self.samples.iter().filter(|sample| (fault..end).contains(&sample.at)) {
            let after = sample.at.duration_since(fault);
            let (all, slow) = spans.entry(after.as_millis() / SPAN.as_millis()).or_default();
            (*all, *slow) = (*all + 1, *slow + usize::from(sample.took > too_long));
            if sample.failure.is_some() {
                last_failure = last_failure.max(after);
            }
        }
        let slow = spans.iter().rev().find(|(_, (all, slow))| slow * SLOW_PART > *all);
        last_failure.max(slow.map(|(span, _)| SPAN * (*span as u32 + 1)).unwrap_or_default())
    }
}
