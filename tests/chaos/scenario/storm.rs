//! All links are lost in one moment, and every Core dials all Edges again.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use postern_tests::{eventually, fault_proxy::Arrival};

use super::{CALM, PATIENCE, Stage};
use crate::outcome::Outcome;

const BACK_MAX: Duration = Duration::from_secs(3);
const SPAN: Duration = Duration::from_millis(100);
/// Of one Core at one Edge, until it is back.
const ATTEMPTS_MAX: usize = 5;
/// A tunnel that was lost sooner has never worked, to its link.
const LASTING: Duration = Duration::from_secs(6);

/// An Edge, and a Core.
type Link = (usize, IpAddr);

pub(super) async fn play(stage: &mut Stage<'_>) -> Result<Outcome> {
    let relay = stage.system.relay.as_ref().context("the storm needs a relay")?;
    let youngest = || relay.arrivals().iter().map(|arrival| arrival.at.elapsed()).min().unwrap_or_default();
    eventually("every tunnel has lasted", PATIENCE, || async { youngest() > LASTING }).await?;
    let cut = relay.cut_all();
    let since = || relay.arrivals().into_iter().filter(|arrival| arrival.at >= cut).collect::<Vec<_>>();
    let links = stage.system.edges.len() * stage.system.cores.len();
    // Every Edge must have seen it: what is up before was never lost.
    let dialled = || since().iter().map(link_of).collect::<BTreeSet<_>>().len();
    eventually("every link is dialled again", PATIENCE, || async { dialled() == links }).await?;
    stage.system.linked(PATIENCE).await?;
    let back = cut.elapsed();
    tokio::time::sleep(CALM).await;

    let arrivals = since();
    let (mut by_link, mut by_span) = (BTreeMap::<Link, usize>::new(), BTreeMap::<u128, usize>::new());
    for arrival in &arrivals {
        *by_link.entry(link_of(arrival)).or_default() += 1;
        *by_span.entry(span_of(arrival.at, cut)).or_default() += 1;
    }
    let most = by_link.values().max().copied().unwrap_or_default();
    let densest = by_span.values().max().copied().unwrap_or_default();
    let note = format!("{} attempts, at most {most} of one link and {densest} within {SPAN:?}", arrivals.len());
    let part = stage.form.storm_part;
    let bar = format!("no {SPAN:?} hold more than 1 of {part} attempts");
    let outcome = Outcome {
        scenario: stage.name.clone(),
        sent: arrivals.len(),
        failed: links.saturating_sub(by_link.len()),
        duplicates: 0,
        worst: back,
        recovery: Duration::ZERO,
        target: format!("{links} links lost at once"),
        is_met: by_link.len() == links,
        notes: Vec::new(),
    };
    Ok(outcome.recovered("all back", back, BACK_MAX).and(&bar, densest * part <= arrivals.len(), note).and(
        "no Edge sees more than 5 attempts of one Core",
        most <= ATTEMPTS_MAX,
        String::new(),
    ))
}

fn link_of(arrival: &Arrival) -> Link {
    (arrival.target, arrival.from)
}

fn span_of(at: Instant, cut: Instant) -> u128 {
    at.duration_since(cut).as_millis() / SPAN.as_millis()
}
