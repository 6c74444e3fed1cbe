//! How an administrator's commands reach a running Core: one request and one answer, each a line of JSON, over a
//! Unix socket that only Core's own user may open.
//!
//! With no Core running, the same [`Commands`] run in the process of the command itself.

mod answer;
mod client;
mod command;
mod commands;
mod listener;
mod store_lock;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use answer::{
    ActivityRow, Answer, DeviceRow, EdgeChanged, EdgeRemoved, EdgeRow, EdgeState, Enrollment, LocationRow, UserRow,
};
pub use client::{ControlClient, ControlError};
pub use command::{Command, DeviceCommand, EdgeCommand, LocationCommand, MfaMode, NewLocation, NewUser, UserCommand};
pub use commands::{CommandError, Commands};
pub use listener::{BindError, ControlListener};
pub use store_lock::{LockError, StoreLock};

/// A command never needs more.
const REQUEST_MAX: u64 = 64 * 1024;

/// Enough for a list of 50,000 devices; read into memory at once.
const RESPONSE_MAX: u64 = 32 * 1024 * 1024;

/// Adopting an Edge is the longest command: three calls of at most 10 s each and a wait for the first tunnel.
const COMMAND_MAX: Duration = Duration::from_secs(60);

/// A peer that has sent no whole line by then is cut off.
const LINE_MAX: Duration = Duration::from_secs(5);

/// What travels back.
#[derive(Serialize, Deserialize)]
enum Response {
    Answer(Answer),
    Error(String),
}
