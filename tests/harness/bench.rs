//! What the benches share: the shipped binaries, processes of their own, connections, and what the kernel says of a process.

pub mod build;
pub mod child;
pub mod connection;
pub mod http;
pub mod process;
pub mod statistics;
