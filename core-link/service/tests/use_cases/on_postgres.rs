//! The same rules as in `main.rs`, on a store that is a real Postgres.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails; helpers are not seen as tests")]
#![allow(dead_code, reason = "what only the tests of the other binary use")]

mod activation;
mod administration;
mod authenticator;
mod enrollment;
mod locations;
mod operations;
mod peers;
mod place;
mod polling;
mod posture;
mod revocation;
mod server;
mod support;

mod mfa {
    pub(crate) mod support;
}

const KIND: place::Kind = place::Kind::Postgres;
