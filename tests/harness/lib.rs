//! Starts the real programs on loopback and looks at them from outside.
//!
//! A [`Cluster`] is a Core, some Edges and a real NGINX in a folder of their own, with the files that are shipped. It waits
//! for conditions, never for time; it stops only what it started, and shows every log when a test fails.

pub mod at_once;
pub mod authenticator;
pub mod bare;
pub mod bench;
pub mod browser;
pub mod checks;
pub mod client;
pub mod clients;
pub mod cluster;
pub mod commands;
pub mod condition;
pub mod curl;
pub mod deployment;
pub mod enrollment;
pub mod fault_proxy;
pub mod haproxy;
pub mod load;
pub mod mail_sink;
pub mod mfa;
pub mod namespaces;
pub mod nginx;
pub mod openid_provider;
pub mod outside;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod programs;
pub mod secrets;
pub mod traffic;

pub use at_once::{at_once, in_turns};
pub use authenticator::Authenticator;
pub use bare::Bare;
pub use browser::Browser;
pub use checks::Checks;
pub use client::{Client, Reply};
pub use cluster::{Cluster, Cores, Setup};
pub use commands::Commands;
pub use condition::eventually;
pub use curl::Curl;
pub use deployment::Deployment;
pub use fault_proxy::FaultProxy;
pub use load::{Load, Summary};
pub use mail_sink::MailSink;
pub use mfa::Member;
pub use namespaces::Namespace;
pub use openid_provider::OpenIdProvider;
pub use outside::Outside;
pub use process::Process;
