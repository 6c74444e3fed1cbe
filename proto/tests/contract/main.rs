//! The contract against bytes that other programs sent, and against its own promises.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

mod codec;
mod descriptors;
mod generated;
mod golden;
mod headers;
mod json;
mod redaction;
mod rpc;
mod tolerance;
mod written_out;
