//! How large images are, how soon a container is ready, and what memory each takes after ten thousand requests.

use std::{
    collections::BTreeSet,
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use super::{Stage, under_load};
use crate::{
    outcome::Outcome,
    stack::{CORES, EDGES, Stack},
};

const REQUESTS: usize = 10_000;
const EDGE_IMAGE_MAX_MIB: f64 = 15.0;
const FULLEST_MAX_PERCENT: f64 = 80.0;
const MIB: f64 = (1024 * 1024) as f64;
/// From `docker start` to the first tunnel.
const READY_MAX: Duration = Duration::from_secs(3);

pub(super) async fn play(stage: &mut Stage<'_>) -> Result<Outcome> {
    under_load::send(stage, "figures", REQUESTS).await?;
    let mut outcome = Outcome::new(
        "figures",
        "the Edge's image takes at most 15 MiB, an Edge is ready within 3 s, nobody comes near its limit of memory, each \
         crate in a program is in its list",
    )
    .figure("requests", stage.sent);
    let stack = &stage.stack;
    let mut edge_image = 0.0;
    for image in ["postern-edge", "postern-core"] {
        let size = stack.engine.docker(&["image", "inspect", "--format", "{{.Size}}", image]).await?;
        let size = size.trim().parse::<f64>()? / MIB;
        if image == "postern-edge" {
            edge_image = size;
        }
        outcome = outcome.figure(&format!("{image}_mib"), format!("{size:.1}"));
    }
    let mut fullest = 0.0_f64;
    for service in [&EDGES[..], &CORES, &["nginx", "postgres", "mail"]].concat() {
        let (resident, limit) = memory_of(stack, service).await?;
        fullest = fullest.max(100.0 * resident / limit);
        outcome = outcome.figure(&format!("{service}_resident_mib"), format!("{:.1}", resident / MIB));
    }
    let unlisted =
        [unlisted(stack, EDGES[0], "postern-edge").await?, unlisted(stack, CORES[0], "postern-core").await?].concat();
    stack.docker(&["stop"], EDGES[0]).await?;
    let begun = Instant::now();
    stack.docker(&["start"], EDGES[0]).await?;
    stack.ready(EDGES[0]).await?;
    let ready = begun.elapsed();
    Ok(outcome
        .figure("unlisted_crates", unlisted.join(","))
        .figure("fullest_percent", format!("{fullest:.0}"))
        .figure("edge_ready_seconds", format!("{:.2}", ready.as_secs_f64()))
        .and(
            unlisted.is_empty()
                && edge_image <= EDGE_IMAGE_MAX_MIB
                && fullest < FULLEST_MAX_PERCENT
                && ready <= READY_MAX,
        ))
}

/// What the processes of a container hold in memory, what they share counted once, and what they may. Not the files that the
/// kernel keeps at hand for them, of which it fills whatever is left.
async fn memory_of(stack: &Stack<'_>, service: &str) -> Result<(f64, f64)> {
    let container = stack.container(service).await?;
    let listed = stack.engine.docker(&["top", &container, "-eo", "pid"]).await?;
    let processes = listed.lines().skip(1).map(|pid| format!("/proc/{}/smaps_rollup", pid.trim()));
    // One may have ended in between.
    let shares = processes.filter_map(|file| proportional_kib(&fs::read_to_string(file).ok()?));
    let resident = shares.sum::<f64>() * 1024.0;
    ensure!(resident > 0.0, "no process of {service} tells of its memory");
    let limit = stack.inspect(service).await?["HostConfig"]["Memory"].as_f64();
    Ok((resident, limit.with_context(|| format!("{service} has no limit of memory"))?))
}

fn proportional_kib(rollup: &str) -> Option<f64> {
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Crates that a program names in its panics' places, and its list of contents does not have.
async fn unlisted(stack: &Stack<'_>, service: &str, program: &str) -> Result<Vec<String>> {
    const SOURCES: &str = "/registry/src/";
    let inside = stack.inside(service).await?;
    let binary = inside.file(&format!("/{program}"))?;
    let listed = String::from_utf8(inside.file(&format!("/{program}.cdx.json"))?)?;
    let text = String::from_utf8_lossy(&binary);
    let crates: BTreeSet<_> = text.split(SOURCES).skip(1).filter_map(|place| place.split('/').nth(1)).collect();
    ensure!(!crates.is_empty(), "{program} names no crate");
    // Names and versions may both have a hyphen before a digit.
    let is_listed = |crate_: &str| {
        let mut splits = crate_.match_indices('-').map(|(at, _)| (&crate_[..at], &crate_[at + 1..]));
        splits.any(|(name, version)| listed.contains(&format!("pkg:cargo/{name}@{version}\"")))
    };
    Ok(crates.into_iter().filter(|crate_| !is_listed(crate_)).map(str::to_owned).collect())
}
