//! What Core shows to the administrator while it adopts: one entry for each step.

use std::collections::HashMap;

use postern_proto::common::LogEntry;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

const TARGET: &str = "postern_edge::adoption";

pub(super) fn info(message: &str) -> LogEntry {
    entry("INFO", message)
}

pub(super) fn error(message: &str) -> LogEntry {
    entry("ERROR", message)
}

fn entry(level: &str, message: &str) -> LogEntry {
    LogEntry {
        level: level.to_owned(),
        target: TARGET.to_owned(),
        message: message.to_owned(),
        timestamp: OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default(),
        fields: HashMap::default(),
    }
}
