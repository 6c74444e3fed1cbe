//! The same rules as in `main.rs`, on a store that is a real Postgres.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails; helpers are not seen as tests")]
#![allow(dead_code, reason = "what only the tests of the other binary use")]

// A server that goes, and one that ends sessions.
mod outages;
#[path = "rules.rs"]
mod rules;
// Both kinds of database at once, and migrations while somebody works.
mod schema;
// What only a server does: other sessions, and addresses with passwords.
mod server;

use rules::*;

const KIND: place::Kind = place::Kind::Postgres;
