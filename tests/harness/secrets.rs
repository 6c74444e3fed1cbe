//! What no log may hold: every secret that a client of the harness has sent or got.
//!
//! Names of fields say what a secret is, so that no test must. Each test is a process of its own, and so is this list.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use aho_corasick::AhoCorasick;
use anyhow::{Context, Result, bail};
use http::HeaderMap;
use serde_json::Value;

static SEEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

const FIELDS: [&str; 10] = [
    "token",
    "password",
    "code",
    "state",
    "challenge",
    "nonce",
    "totp_secret",
    "preshared_key",
    "codes",
    "recovery_codes",
];
const HEADERS: [&str; 3] = ["cookie", "set-cookie", "x-operation-id"];
/// A shorter one stands in a log by chance; a longer one was made up to be too long.
const LENGTHS: std::ops::RangeInclusive<usize> = 12..=512;
/// A load brings no more kinds of secrets after these.
const SEEN_MAX: usize = 5_000;

/// Remembers the secrets of one half of an exchange.
pub(crate) fn remember(headers: &HeaderMap, body: &[u8]) {
    for name in HEADERS {
        for value in headers.get_all(name).iter().filter_map(|value| value.to_str().ok()) {
            let pair = value.split(';').next().unwrap_or_default();
            keep(pair.split_once('=').map_or(pair, |(_, value)| value));
        }
    }
    if let Ok(body) = serde_json::from_slice(body) {
        remember_fields(&body);
    }
}

/// The same for what a command printed.
pub(crate) fn remember_fields(value: &Value) {
    match value {
        // The code of an error is a word that logs use too.
        Value::Object(fields) if fields.contains_key("error") => {}
        Value::Object(fields) => {
            for (name, value) in fields {
                if FIELDS.contains(&name.as_str()) {
                    keep_all(value);
                } else {
                    remember_fields(value);
                }
            }
        }
        Value::Array(values) => values.iter().for_each(remember_fields),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The same for one that a test made up.
pub(crate) fn remember_text(secret: &str) {
    keep(secret);
}

fn keep_all(value: &Value) {
    match value {
        Value::String(text) => keep(text),
        Value::Array(values) => values.iter().for_each(keep_all),
        Value::Object(_) => remember_fields(value),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn keep(text: &str) {
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    if LENGTHS.contains(&text.len()) && seen.len() < SEEN_MAX {
        seen.insert(text.to_owned());
    }
}

/// Fails when a log in one of these folders holds a secret, and names the line.
pub(crate) fn look_for_in_logs(folders: &[&Path]) -> Result<()> {
    let seen: Vec<String> = SEEN.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect();
    let searcher = AhoCorasick::new(&seen).context("too many secrets to look for")?;
    for path in logs(folders)? {
        let text = fs::read(&path)?;
        let Some(found) = searcher.find(&text) else { continue };
        let line = text.split(|byte| *byte == b'\n').find(|line| searcher.is_match(line)).unwrap_or_default();
        let secret = &seen[found.pattern().as_usize()];
        bail!("{} holds the secret {secret:?}: {}", path.display(), String::from_utf8_lossy(line));
    }
    Ok(())
}

/// Every log in these folders.
pub fn logs(folders: &[&Path]) -> Result<Vec<PathBuf>> {
    let mut logs = Vec::new();
    for folder in folders.iter().filter(|folder| folder.is_dir()) {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "log") {
                logs.push(path);
            }
        }
    }
    Ok(logs)
}
