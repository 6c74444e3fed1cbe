//! The rules of Core, through its dispatcher and a real store on SQLite, with a clock that only moves when told to.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails; helpers are not seen as tests")]

// Databases of both kinds at once.
mod copying;
// Their databases were written by versions that knew only SQLite.
mod migrations;
#[path = "rules.rs"]
mod rules;
// Files: what they are, who may read them, and who else may have them open.
mod sqlite;
// Changes share one writer and its commits here; on a server they do not.
mod writer;

use rules::*;

/// `on_postgres.rs` runs the same rules.
const KIND: place::Kind = place::Kind::Sqlite;
