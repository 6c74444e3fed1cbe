//! The public HTTP service in the DMZ: stateless, interchangeable, and dialling nobody, except when Core orders a
//! certificate (`acme`).

pub mod acme;
pub mod adoption;
pub mod certificate;
pub mod chance;
pub mod config;
pub mod core_client;
pub mod drain;
pub mod http;
pub mod identity;
mod listen;
mod peers;
pub mod serve;
mod systemd;
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
pub mod tunnel;
