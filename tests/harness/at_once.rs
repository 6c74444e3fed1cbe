//! Many calls at the same moment.

use anyhow::Result;
use tokio::task::JoinSet;

/// Makes `count` calls, starts them together, and gives what came of them in any order.
pub async fn at_once<F>(count: usize, mut call: impl FnMut(usize) -> F) -> Result<Vec<F::Output>>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    let mut calls: JoinSet<F::Output> = (0..count).map(&mut call).collect();
    joined(&mut calls, count).await
}

/// The same, but never more than `width` under way.
pub async fn in_turns<F>(count: usize, width: usize, mut call: impl FnMut(usize) -> F) -> Result<Vec<F::Output>>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    let mut calls = JoinSet::new();
    let mut outcomes = Vec::with_capacity(count);
    for number in 0..count {
        if calls.len() == width {
            outcomes.extend(joined(&mut calls, 1).await?);
        }
        calls.spawn(call(number));
    }
    outcomes.extend(joined(&mut calls, width).await?);
    Ok(outcomes)
}

async fn joined<T: Send + 'static>(calls: &mut JoinSet<T>, at_most: usize) -> Result<Vec<T>> {
    let mut outcomes = Vec::new();
    while outcomes.len() < at_most
        && let Some(outcome) = calls.join_next().await
    {
        outcomes.push(outcome?);
    }
    Ok(outcomes)
}
