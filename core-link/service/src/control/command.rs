//! What an administrator may ask for: the arguments of the command line, and what travels over the socket.

mod certificate;
mod device;
mod location;
mod user;

use std::time::Duration;

use postern_core_link::EdgeAddress;
use serde::{Deserialize, Serialize};

use super::{COMMAND_MAX, ORDER_MAX};
pub use certificate::{CertificateCommand, PemFile, PemFileError};
pub use device::{DeviceCommand, NewHost, TokenCommand, TokenHolder};
pub use location::{LocationChange, LocationCommand, MfaMode, NameServers, NewLocation, PeersFormat};
pub use user::{NewUser, UserCommand};

#[derive(Debug, Clone, Serialize, Deserialize, clap::Subcommand)]
pub enum Command {
    /// People: add, list, enroll, disable, unlock, reset-mfa, link, unlink, delete
    #[command(subcommand)]
    User(UserCommand),
    /// VPN locations: add, list, set, remove, peers
    #[command(subcommand)]
    Location(LocationCommand),
    /// Edges: add, list, disable, enable, remove
    #[command(subcommand)]
    Edge(EdgeCommand),
    /// The certificate that Edges show to browsers: set, show, clear, order
    #[command(subcommand)]
    Certificate(CertificateCommand),
    /// Devices: add (hosts), list, posture, remove
    #[command(subcommand)]
    Device(DeviceCommand),
    /// Tokens: revoke
    #[command(subcommand)]
    Token(TokenCommand),
    /// Mail: test
    #[command(subcommand)]
    Mail(MailCommand),
    /// What happened, newest first
    Activity {
        /// How many rows
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
    },
    /// Whether a Core answers here, for container health checks
    Health,
}

#[derive(Debug, Clone, Serialize, Deserialize, clap::Subcommand)]
pub enum EdgeCommand {
    /// Adopt an Edge: give it its identity, and keep a tunnel open to it
    #[command(after_help = "Example:\n  postern-core edge add edge-1.dmz.example.com:50051\n\n\
                            The Edge must be new (or reset with `postern-edge reset`), started less than\n\
                            10 minutes ago, and must accept this host in its setting adoption_from.\n\
                            Core opens every connection; an Edge never dials Core.")]
    Add {
        /// Where Core reaches the Edge's tunnel port
        #[serde(with = "address_text")]
        address: EdgeAddress,
        /// A name for it [default: its address]
        #[arg(long)]
        name: Option<String>,
    },
    /// List Edges and the state of their tunnels
    List,
    /// Take an Edge out of use; it keeps its identity
    Disable {
        /// Name or id
        edge: String,
    },
    /// Take an Edge into use again
    Enable {
        /// Name or id
        edge: String,
    },
    /// Take back an Edge's identity, and forget it
    Remove {
        /// Name or id
        edge: String,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize, clap::Subcommand)]
pub enum MailCommand {
    /// Send a mail now, and say what the mail server says
    #[command(after_help = "Example:\n  postern-core mail test joe@example.com")]
    Test {
        /// Mail address
        address: String,
    },
}

impl Command {
    /// How long it may take.
    pub(super) fn time_max(&self) -> Duration {
        match self {
            Self::Certificate(CertificateCommand::Order { .. }) => ORDER_MAX,
            Self::User(_)
            | Self::Location(_)
            | Self::Edge(_)
            | Self::Certificate(_)
            | Self::Device(_)
            | Self::Token(_)
            | Self::Mail(_)
            | Self::Activity { .. }
            | Self::Health => COMMAND_MAX,
        }
    }

    /// Asks for JSON by an argument of its own.
    pub fn wants_json(&self) -> bool {
        matches!(self, Self::Location(LocationCommand::Peers { format: PeersFormat::Json, .. }))
    }
}

/// An Edge's address travels as it was typed.
mod address_text {
    use postern_core_link::EdgeAddress;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(address: &EdgeAddress, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(address)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<EdgeAddress, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
