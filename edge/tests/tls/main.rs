//! The whole program with a web certificate: served, swapped, refused, ordered; and in the place of a stock Edge.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod acme;
mod certificates;
mod client;
mod drop_in;
mod fake_authority;
mod https;
mod pebble;
mod program;
mod redirect;
mod refused;
