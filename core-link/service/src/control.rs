//! How an administrator's commands reach a running Core: one request and one answer, each a line of JSON, over a
//! Unix socket that only Core's own user may open. A long command says in lines before its answer how far it is.
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
    ActivityRow, Answer, CertificateRow, CertificateStored, DeviceRow, EdgeChanged, EdgeRemoved, EdgeRow, EdgeState,
    Enrollment, HostInvited, LocationRemoved, LocationRow, Migrated, PeerRow, PeersConfig, PostureRow, UserRow,
};
pub use client::{ControlClient, ControlError};
pub use command::{
    CertificateCommand, Command, DeviceCommand, EdgeCommand, LocationChange, LocationCommand, MailCommand, MfaMode,
    NameServers, NewHost, NewLocation, NewUser, PeersFormat, PemFile, PemFileError, TokenCommand, TokenHolder,
    UserCommand,
};
pub use commands::{CommandError, Commands};
pub use listener::{BindError, ControlListener};
pub use store_lock::{LockError, StoreLock};

/// A command never needs more.
const REQUEST_MAX: u64 = 64 * 1024;

/// Enough for a list of 50,000 devices; read into memory at once.
const RESPONSE_MAX: u64 = 32 * 1024 * 1024;

/// Adopting an Edge is the longest command: three calls of at most 10 s each and a wait for the first tunnel.
const COMMAND_MAX: Duration = Duration::from_secs(60);

/// An order of a certificate may take five minutes at the authority.
const ORDER_MAX: Duration = Duration::from_secs(320);

/// Of a long command, on their way to whoever asked.
pub(crate) const PROGRESS_MAX: usize = 16;

/// A peer that has sent no whole line by then is cut off.
const LINE_MAX: Duration = Duration::from_secs(5);

/// What travels back.
#[derive(Serialize, Deserialize)]
enum Response {
    /// How far a long command is; more follows.
    Progress(String),
    Answer(Answer),
    Error(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifty_thousand_peers_with_the_longest_of_names_fit_into_an_answer() {
        let longest = PeerRow {
            device: i64::MAX,
            name: "\u{1f5a5}".repeat(64),
            user: Some("a".repeat(64)),
            public_key: "A".repeat(44),
            addresses: vec!["255.255.255.255".to_owned(), ["ffff"; 8].join(":")],
            authorised_until: Some("2026-11-20T12:00:00Z".to_owned()),
        };
        let row = serde_json::to_vec(&longest).unwrap().len() + 1;
        assert!(50_000 * row as u64 + 100 < RESPONSE_MAX, "{row} bytes each");
    }
}
