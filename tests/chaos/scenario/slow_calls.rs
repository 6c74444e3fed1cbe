//! Calls that Core cannot answer for a while do not hold up others on the same tunnel.
//!
//! They are sign-ins whose provider takes its time. Everything goes to one Edge, as from the proxy, and so over one tunnel.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use postern_tests::{
    Client, OpenIdProvider, Reply, eventually,
    openid_provider::{Account, Misbehaviour, Returned},
};
use serde_json::json;
use tokio::{runtime::Handle, task::JoinSet};

use super::{PATIENCE, Stage};
use crate::{
    ledger::Verdict,
    load::{Load, Mix, Plan, Tally},
    outcome::Outcome,
    people::People,
};

const CALLS: usize = 20;
/// Core leaves a silent provider after this.
const HELD: Duration = Duration::from_secs(3);
const WORST_MAX: Duration = Duration::from_millis(4200);

pub(super) async fn play(stage: &mut Stage<'_>) -> Result<Outcome> {
    let people = People::gather(stage.system.meeting(), &stage.name, stage.form.members, 1).await?;
    let edge = stage.system.edges[0].client();
    let login = &people.invited[0].login;
    stage.system.provider.sign_in_as(Account::new("subject-of-slow-calls", &format!("{login}@example.org")));
    let (mut without, mut with, mut recovery) = (Tally::default(), Tally::default(), Duration::ZERO);
    for _ in 0..stage.form.waves {
        let polls = polls(stage, &edge, &people);
        tokio::time::sleep(HELD).await;
        without.append(polls.finish().await?);
        let (held, back) = wave(stage, &edge, &people).await?;
        with.append(held);
        recovery = recovery.max(back);
    }
    let [alone, beside] = [&without, &with].map(Tally::p99);
    with.append(without);
    let floor = stage.form.noise;
    let bar = format!("p99 of polls under twice its value without slow calls, or under {:?}", 2 * floor);
    let note = format!("p99 of polls {alone:?} alone, {beside:?} beside {CALLS} calls held for {HELD:?}");
    Ok(Outcome::of(&stage.name, &with, Verdict::default(), WORST_MAX)
        .recovered("polls are as before", recovery, HELD)
        .and(&bar, beside < 2 * alone.max(floor), note))
}

fn polls(stage: &Stage<'_>, edge: &Client, people: &People) -> Load {
    let plan = Plan { people: people.clone(), mix: Mix::Polls, per_second: stage.form.rate };
    Load::start(edge.clone(), plan, &Handle::current())
}

/// Polls while sign-ins are held, and how long after their end a poll was slow.
async fn wave(stage: &Stage<'_>, edge: &Client, people: &People) -> Result<(Tally, Duration)> {
    let provider = &stage.system.provider;
    let begun = try_join_all((0..CALLS).map(|_| SignIn::begin(edge, provider, &stage.system.hosts.intranet)));
    let begun = begun.await?;
    provider.misbehave(Misbehaviour::TokenWaits);
    let asked = provider.asked().tokens;
    let mut ends: JoinSet<Result<()>> = begun.into_iter().map(|sign_in| sign_in.end(edge.clone())).collect();
    eventually("every sign-in is held", PATIENCE, || async { provider.asked().tokens == asked + CALLS }).await?;
    let polls = polls(stage, edge, people);
    while let Some(end) = ends.join_next().await {
        end??;
    }
    let released = Instant::now();
    provider.behave();
    let tally = polls.finish().await?;
    let back = tally.recovery(released, Instant::now());
    Ok((tally, back))
}

/// A person who comes back from the provider.
#[derive(Debug)]
struct SignIn {
    cookies: String,
    returned: Returned,
}

impl SignIn {
    async fn begin(edge: &Client, provider: &Arc<OpenIdProvider>, intranet: &Handle) -> Result<Self> {
        let reply = edge.post("/api/v1/openid/auth_info", &json!({ "type": "enrollment" })).await?;
        ensure!(reply.status == 200, "auth_info: {reply:?}");
        let url = reply.json()?["url"].as_str().context("no address of the provider")?.to_owned();
        let provider = Arc::clone(provider);
        // The provider listens on Core's host only.
        let returned = intranet.spawn(async move { provider.visit(&url).await }).await??;
        Ok(Self { cookies: cookies(&reply), returned })
    }

    /// Nobody vouches for this person in time, which Core says; or the Edge, when the budget of the call is over.
    async fn end(self, edge: Client) -> Result<()> {
        let body = json!({ "type": "enrollment", "code": self.returned.code, "state": self.returned.state });
        let reply = edge.with_header("cookie", &self.cookies).post("/api/v1/openid/callback", &body).await?;
        ensure!([503, 504].contains(&reply.status) && reply.took >= HELD, "callback: {reply:?}");
        Ok(())
    }
}

fn cookies(reply: &Reply) -> String {
    let lines = reply.headers.get_all("set-cookie").iter().filter_map(|line| line.to_str().ok());
    lines.filter_map(|line| line.split(';').next()).collect::<Vec<_>>().join("; ")
}
