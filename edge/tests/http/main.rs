//! The HTTP side over real sockets, with a Core at the other end of a real tunnel.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test that cannot go on has failed")]

mod answers;
mod bad_bodies;
mod connections;
mod cookies;
mod core_trouble;
mod enrollment;
mod harness;
mod headers;
mod hostile_core;
mod json_routes;
mod mfa;
mod mutation;
mod proxies;
mod routes;
mod table;
