//! How large images are, how soon a container is ready, and what memory each takes after ten thousand requests.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::{Stage, under_load};
use crate::{outcome::Outcome, stack::EDGES};

const REQUESTS: usize = 10_000;
const EDGE_IMAGE_MAX_MIB: f64 = 15.0;
const MIB: f64 = (1024 * 1024) as f64;
/// From `docker start` to the first tunnel.
const READY_MAX: Duration = Duration::from_secs(3);

pub(super) async fn play(stage: &mut Stage<'_>) -> Result<Outcome> {
    under_load::send(stage, "figures", REQUESTS).await?;
    let mut outcome = Outcome::new(
        "figures",
        "the Edge's image takes at most 15 MiB, an Edge is ready within 3 s, nobody comes near its limit of memory",
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
    let statistics =
        stack.engine.docker(&["stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}} {{.MemPerc}}"]).await?;
    let mut fullest = 0.0_f64;
    for line in statistics.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        let (name, used) = (words.first().context("no name")?, words.get(1).context("no memory")?);
        let share = words.last().context("no share")?.trim_end_matches('%');
        fullest = fullest.max(share.parse().with_context(|| format!("no share of memory in {line}"))?);
        outcome = outcome.figure(&format!("memory_of_{name}"), used);
    }
    stack.docker(&["stop"], EDGES[0]).await?;
    let begun = Instant::now();
    stack.docker(&["start"], EDGES[0]).await?;
    stack.ready(EDGES[0]).await?;
    let ready = begun.elapsed();
    Ok(outcome
        .figure("fullest_percent", fullest)
        .figure("edge_ready_seconds", format!("{:.2}", ready.as_secs_f64()))
        .and(edge_image <= EDGE_IMAGE_MAX_MIB && fullest < 80.0 && ready <= READY_MAX))
}
