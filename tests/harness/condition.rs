//! Waiting for a condition: the only kind of waiting that tests do.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(10);

/// Calls `look` until it says true, and says how long that took; an error names `what` after `within`.
pub async fn eventually<F>(what: &str, within: Duration, mut look: impl FnMut() -> F) -> Result<Duration>
where
    F: Future<Output = bool>,
{
    let begun = Instant::now();
    loop {
        if look().await {
            return Ok(begun.elapsed());
        }
        if begun.elapsed() > within {
            bail!("not within {within:?}: {what}");
        }
        tokio::time::sleep(LOOK_AGAIN_AFTER).await;
    }
}
