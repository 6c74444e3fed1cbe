//! What holds on whatever database the store is: each file here runs on SQLite and on a real Postgres.
//!
//! A new file of tests belongs here. `sqlite.rs` and its like, in `main.rs`, say why they are about one of the two.

pub(crate) mod activation;
pub(crate) mod administration;
pub(crate) mod auth_log;
pub(crate) mod authenticator;
pub(crate) mod changes;
pub(crate) mod cores;
pub(crate) mod debug;
pub(crate) mod devices;
pub(crate) mod enrollment;
pub(crate) mod enumeration;
pub(crate) mod hosts;
pub(crate) mod locations;
pub(crate) mod mail;
pub(crate) mod mfa;
pub(crate) mod operations;
pub(crate) mod password_reset;
pub(crate) mod peers;
pub(crate) mod phones;
pub(crate) mod place;
pub(crate) mod polling;
pub(crate) mod posture;
pub(crate) mod recorded;
pub(crate) mod replay;
pub(crate) mod revocation;
pub(crate) mod secrets;
pub(crate) mod steps;
pub(crate) mod store;
pub(crate) mod support;
pub(crate) mod tokens;
pub(crate) mod wireguard;
