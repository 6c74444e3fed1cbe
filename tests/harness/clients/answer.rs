//! What clients ask of an answer before they use it.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::Reply;

/// A body in JSON under exactly this status, in which every one of these pointers leads to something that is not null.
pub(super) fn ok(reply: &Reply, needed: &[&str]) -> Result<Value> {
    ensure!(reply.status == 200, "status {}: {:?}", reply.status, reply.body);
    let body = reply.json()?;
    for pointer in needed {
        let value = body.pointer(pointer).with_context(|| format!("{pointer} is missing in {body}"))?;
        ensure!(!value.is_null(), "{pointer} is null in {body}");
    }
    Ok(body)
}

/// Clients that look at the status alone.
pub(super) fn is_200(reply: &Reply) -> Result<()> {
    ensure!(reply.status == 200, "status {}: {:?}", reply.status, reply.body);
    Ok(())
}

/// What every client reads of a refusal.
pub(super) fn error(reply: &Reply) -> Result<String> {
    let body = reply.json()?;
    Ok(body["error"].as_str().with_context(|| format!("no text under `error` in {body}"))?.to_owned())
}

pub(super) fn text(body: &Value, pointer: &str) -> Result<String> {
    match body.pointer(pointer).and_then(Value::as_str) {
        Some("") | None => bail!("{pointer} is no text in {body}"),
        Some(text) => Ok(text.to_owned()),
    }
}

/// The `Set-Cookie` line that starts like this, if there is exactly one.
pub(super) fn set_cookie(reply: &Reply, start: &str) -> Result<String> {
    let lines: Vec<_> = reply.headers.get_all("set-cookie").iter().filter_map(|line| line.to_str().ok()).collect();
    let mut found = lines.iter().filter(|line| line.starts_with(start));
    match (found.next(), found.next()) {
        (Some(line), None) => Ok((*line).to_owned()),
        _ => bail!("not exactly one {start} in {lines:?}"),
    }
}
