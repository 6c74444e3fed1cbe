//! The rules of Core, through its dispatcher and a real store, with a clock that only moves when told to.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails; helpers are not seen as tests")]

mod activation;
mod administration;
mod devices;
mod enrollment;
mod operations;
mod polling;
mod replay;
mod secrets;
mod store;
mod support;
mod writer;
