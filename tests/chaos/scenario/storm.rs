//! All links are lost in one moment, and Core dials them all again.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use postern_tests::eventually;

use super::{CALM, PATIENCE, Stage};
use crate::outcome::Outcome;

const BACK_MAX: Duration = Duration::from_secs(3);
const SPAN: Duration = Duration::from_millis(100);
/// Of one Core at one Edge, until it is back.
const ATTEMPTS_MAX: usize = 5;
/// A tunnel that was lost sooner has never worked, to its link.
const LASTING: Duration = Duration::from_secs(6);

pub(super) async fn play(stage: &mut Stage<'_>) -> Result<Outcome> {
    let relay = stage.system.relay.as_ref().context("the storm needs a relay")?;
    let youngest = || relay.arrivals().iter().map(|arrival| arrival.at.elapsed()).min().unwrap_or_default();
    eventually("every tunnel has lasted", PATIENCE, || async { youngest() > LASTING }).await?;
    let cut = relay.cut_all();
    // Every Edge must have seen it: what is ready before was never lost.
    let dialled = || {
        let since = relay.arrivals().into_iter().filter(|arrival| arrival.at >= cut);
        since.map(|arrival| arrival.target).collect::<BTreeSet<_>>().len()
    };
    let links = stage.system.edges.len();
    eventually("every link is dialled again", PATIENCE, || async { dialled() == links }).await?;
    stage.system.ready(PATIENCE).await?;
    let back = cut.elapsed();
    tokio::time::sleep(CALM).await;

    let arrivals: Vec<_> = relay.arrivals().into_iter().filter(|arrival| arrival.at >= cut).collect();
    let (mut by_edge, mut by_span) = (BTreeMap::<usize, usize>::new(), BTreeMap::<u128, usize>::new());
    for arrival in &arrivals {
        *by_edge.entry(arrival.target).or_default() += 1;
        *by_span.entry(span_of(arrival.at, cut)).or_default() += 1;
    }
    let most = by_edge.values().max().copied().unwrap_or_default();
    let densest = by_span.values().max().copied().unwrap_or_default();
    let note = format!("{} attempts, at most {most} at one Edge and {densest} within {SPAN:?}", arrivals.len());
    let part = stage.form.storm_part;
    let bar = format!("no {SPAN:?} hold more than 1 of {part} attempts");
    let outcome = Outcome {
        scenario: stage.name.clone(),
        sent: arrivals.len(),
        failed: links.saturating_sub(by_edge.len()),
        duplicates: 0,
        worst: back,
        recovery: Duration::ZERO,
        target: format!("{links} links lost at once"),
        is_met: by_edge.len() == links,
        notes: Vec::new(),
    };
    Ok(outcome.recovered("all back", back, BACK_MAX).and(&bar, densest * part <= arrivals.len(), note).and(
        "no Edge sees more than 5 attempts",
        most <= ATTEMPTS_MAX,
        String::new(),
    ))
}

fn span_of(at: Instant, cut: Instant) -> u128 {
    at.duration_since(cut).as_millis() / SPAN.as_millis()
}
