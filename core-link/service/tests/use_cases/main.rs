//! The rules of Core, through its dispatcher and a real store, with a clock that only moves when told to.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails; helpers are not seen as tests")]

mod activation;
mod administration;
mod auth_log;
mod authenticator;
mod cores;
mod debug;
mod devices;
mod enrollment;
mod enumeration;
mod hosts;
mod locations;
mod mail;
mod mfa;
mod migrations;
mod operations;
mod password_reset;
mod peers;
mod phones;
mod place;
mod polling;
mod posture;
mod recorded;
mod replay;
mod revocation;
mod secrets;
mod steps;
mod store;
mod support;
mod tokens;
mod wireguard;
mod writer;

/// The same tests run in `on_postgres.rs`.
const KIND: place::Kind = place::Kind::Sqlite;
