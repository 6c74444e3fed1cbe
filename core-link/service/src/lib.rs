//! A complete small Core: people, enrollment, devices and Edges on one store.

pub mod activity;
pub mod authority;
pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod device;
pub mod dispatch;
pub mod edges;
pub mod enrollment;
pub mod instance;
pub mod location;
pub mod mfa;
pub mod password;
pub mod person;
pub mod polling;
pub mod sealing;
pub mod serve;
pub mod session_keys;
pub mod store;
pub mod telemetry;
pub mod token;
