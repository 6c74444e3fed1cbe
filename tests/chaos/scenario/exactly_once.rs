//! People enroll while Edges and Cores are killed at random. Each step goes through another Edge and to another Core, and who
//! gets no answer asks again, as stock clients do it: with no word that it is the same operation.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use postern_tests::{
    Client, Process, Reply,
    cluster::Edge,
    enrollment::{PASSWORD, cookie_of, public_key},
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{CALM, PATIENCE, Stage};
use crate::{
    ledger::Ledger,
    load::Tally,
    outcome::Outcome,
    people::{Invited, People},
    system::System,
    visit::{Effect, Sample, is_text, text},
};

/// A stock client leaves then.
const LEAVES_AFTER: Duration = Duration::from_secs(5);
/// Before it asks again.
const PAUSE: Duration = Duration::from_millis(200);
/// Nobody gives up sooner.
const PERSON_MAX: Duration = Duration::from_secs(60);
/// Who was killed stays away so long, and the next goes so long after that.
const AWAY: Duration = Duration::from_millis(400);
const BETWEEN_KILLS: Duration = Duration::from_millis(600);
/// These are no answers to somebody who wants to get in.
const ASK_AGAIN: [u16; 4] = [429, 502, 503, 504];

pub(super) async fn play(stage: &mut Stage<'_>) -> Result<Outcome> {
    let (count, length) = (stage.form.enrolling, stage.form.enrolling_length);
    let people = People::gather(stage.system.meeting(), &stage.name, 0, count).await?;
    let ledger = Ledger::open(stage.system.commands()).await?;
    let edges: Arc<[Client]> = stage.system.edges.iter().map(Edge::client).collect();
    let mut crowd = JoinSet::new();
    for (number, invited) in people.invited.iter().cloned().enumerate() {
        let comes_after = length.mul_f64(number as f64 / count as f64);
        let person = Person { edges: Arc::clone(&edges), next: number, samples: Vec::new(), invited };
        crowd.spawn_on(person.come(comes_after), &stage.system.hosts.front);
    }
    let seed = rand::rng().random();
    let (kills, came) = kill_until_all_came(&mut stage.system, crowd, seed).await?;
    stage.system.linked(PATIENCE).await?;
    sleep(CALM).await;

    let mut tally = Tally::default();
    let mut unfinished = Vec::new();
    for (person, outcome) in came {
        let effect = Effect::Enrolled { login: person.invited.login };
        tally.asked.push(effect.clone());
        match outcome {
            Ok(()) => tally.told.push(effect),
            Err(error) => unfinished.push(format!("somebody did not get in: {error:#}")),
        }
        tally.samples.extend(person.samples);
    }
    let verdict = ledger.close(&tally).await?;
    let asked_again = tally.failures().count();
    // Who asks again is no failure; who never gets in is one.
    tally.samples.iter_mut().for_each(|sample| sample.failure = None);
    let mut outcome = Outcome::of(&stage.name, &tally, verdict, LEAVES_AFTER);
    outcome.failed += unfinished.len();
    let note = format!("{kills} kills with seed {seed}; {asked_again} calls got no answer and were repeated");
    let all = format!("{count} people enrolled exactly once, one device each, through {kills} kills");
    let is_met = unfinished.is_empty() && asked_again > 0;
    outcome.notes.extend(unfinished.into_iter().take(5));
    Ok(outcome.and(&all, is_met, note))
}

type Came = (Person, Result<()>);

/// Who came, and how many programs were killed meanwhile.
async fn kill_until_all_came(system: &mut System, mut crowd: JoinSet<Came>, seed: u64) -> Result<(usize, Vec<Came>)> {
    let mut random = StdRng::seed_from_u64(seed);
    let (mut kills, mut came) = (0, Vec::new());
    while !crowd.is_empty() {
        sleep(BETWEEN_KILLS).await;
        let next = random.random_range(0..system.edges.len() + system.cores.len());
        let process: &mut Process = match next.checked_sub(system.edges.len()) {
            None => &mut system.edges[next].process,
            Some(core) => &mut system.cores[core].process,
        };
        process.kill()?;
        sleep(AWAY).await;
        process.start_again()?;
        kills += 1;
        while let Some(person) = crowd.try_join_next() {
            came.push(person.context("a person panicked")?);
        }
    }
    Ok((kills, came))
}

/// Calls Edges as the proxy does, one after the other.
#[derive(Debug)]
struct Person {
    edges: Arc<[Client]>,
    next: usize,
    samples: Vec<Sample>,
    invited: Invited,
}

impl Person {
    async fn come(mut self, after: Duration) -> Came {
        sleep(after).await;
        let enrolled = timeout(PERSON_MAX, self.enroll()).await.context("not in time").and_then(|enrolled| enrolled);
        (self, enrolled)
    }

    async fn enroll(&mut self) -> Result<()> {
        let token = json!({ "token": self.invited.token });
        let started = self.insist("enrollment/start", "/api/v1/enrollment/start", None, &token).await?;
        is_text(&started.json()?, "/user/login", &self.invited.login)?;
        let cookie = cookie_of(&started).context("no cookie")?;
        let key = public_key()?;
        let device = json!({ "name": "laptop", "pubkey": key });
        let path = "/api/v1/enrollment/create_device";
        let created = self.insist("create_device", path, Some(&cookie), &device).await?.json()?;
        is_text(&created, "/device/pubkey", &key)?;
        let password = json!({ "password": PASSWORD, "phone_number": null });
        self.insist("activate_user", "/api/v1/enrollment/activate_user", Some(&cookie), &password).await?;
        // The one device is the one that this person knows.
        let token = json!({ "token": text(&created, "/token")? });
        let polled = self.insist("poll", "/api/v1/poll", None, &token).await?.json()?;
        is_text(&polled, "/device_config/device/pubkey", &key)
    }

    /// Asks one Edge after the other until there is an answer.
    async fn insist(&mut self, step: &'static str, path: &str, cookie: Option<&str>, body: &Value) -> Result<Reply> {
        loop {
            self.next += 1;
            let mut edge = self.edges[self.next % self.edges.len()].clone();
            if let Some(cookie) = cookie {
                edge = edge.with_header("cookie", cookie);
            }
            let at = Instant::now();
            let reply = timeout(LEAVES_AFTER, edge.post(path, body)).await.context("silence").and_then(|reply| reply);
            let (took, status) = (at.elapsed(), reply.as_ref().ok().map(|reply| reply.status));
            let failure = match &reply {
                Ok(reply) if reply.status == 200 => None,
                Ok(reply) => Some(format!("status {}", reply.status)),
                Err(error) => Some(format!("{error:#}")),
            };
            self.samples.push(Sample { step, at, took, status, failure });
            match reply {
                Ok(reply) if reply.status == 200 => return Ok(reply),
                Ok(reply) if !ASK_AGAIN.contains(&reply.status) => {
                    bail!("{step}: status {} {}", reply.status, String::from_utf8_lossy(&reply.body))
                }
                Ok(_) | Err(_) => sleep(PAUSE).await,
            }
        }
    }
}
