//! What an administrator may ask for: the arguments of the command line, and what travels over the socket.

use std::net::IpAddr;

use ipnet::IpNet;
use postern_core_link::EdgeAddress;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize, clap::Subcommand)]
pub enum Command {
    /// People: add, list, enroll, disable
    #[command(subcommand)]
    User(UserCommand),
    /// VPN locations: add, list
    #[command(subcommand)]
    Location(LocationCommand),
    /// Edges: add, list, disable, enable, remove
    #[command(subcommand)]
    Edge(EdgeCommand),
    /// Devices: list, remove
    #[command(subcommand)]
    Device(DeviceCommand),
    /// What happened, newest first
    Activity {
        /// How many rows
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize, clap::Subcommand)]
pub enum UserCommand {
    /// Add a person
    #[command(after_help = "Example:\n  postern-core user add joe --email joe@example.com --first-name Joe\n\n\
                            Then give the person a token: postern-core user enroll joe")]
    Add(NewUser),
    /// List people
    List,
    /// Make a token with which a person enrolls; an older unused one ends
    #[command(after_help = "Example:\n  postern-core user enroll joe\n\n\
                            The token is shown once, and is valid for 24 hours.")]
    Enroll {
        /// Login name
        login: String,
    },
    /// End a person's access: clients are refused from the next request on
    Disable {
        /// Login name
        login: String,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize, clap::Args)]
pub struct NewUser {
    /// Login name
    pub login: String,
    /// Mail address
    #[arg(long, value_name = "MAIL")]
    pub email: String,
    /// First name
    #[arg(long, value_name = "NAME", default_value = "")]
    pub first_name: String,
    /// Last name
    #[arg(long, value_name = "NAME", default_value = "")]
    pub last_name: String,
    /// Phone number
    #[arg(long, value_name = "NUMBER")]
    pub phone: Option<String>,
    /// The person is an administrator
    #[arg(long)]
    pub admin: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize, clap::Subcommand)]
pub enum LocationCommand {
    /// Add a WireGuard network that devices get an address in
    #[command(after_help = "Example:\n  postern-core location add office --endpoint vpn.example.com:51820 \\\n    \
                            --address 10.10.0.1/16,fd00:10::1/64 --public-key \"$(wg pubkey < server.key)\" \\\n    \
                            --allowed-ips 10.0.0.0/8 --dns 10.10.0.1 --mfa internal")]
    Add(NewLocation),
    /// List locations
    List,
}

#[derive(Debug, Clone, Serialize, Deserialize, clap::Args)]
pub struct NewLocation {
    /// Name, as clients show it
    pub name: String,
    /// Where clients reach the WireGuard server
    #[arg(long, value_name = "HOST:PORT")]
    pub endpoint: String,
    /// Address of the server and the range that devices get theirs from
    #[arg(long, value_name = "CIDR", value_delimiter = ',', required = true)]
    pub address: Vec<IpNet>,
    /// Public key of the WireGuard server
    #[arg(long, value_name = "BASE64")]
    pub public_key: String,
    /// Networks that clients send through the tunnel [default: the address ranges]
    #[arg(long, value_name = "CIDR", value_delimiter = ',')]
    pub allowed_ips: Vec<IpNet>,
    /// Name servers
    #[arg(long, value_name = "ADDRESSES", value_delimiter = ',')]
    pub dns: Vec<IpAddr>,
    /// Second factor that a connection needs
    #[arg(long, value_enum, default_value_t = MfaMode::Disabled)]
    pub mfa: MfaMode,
    /// Seconds between keep-alive packets
    #[arg(long, value_name = "SECONDS", default_value_t = 25)]
    pub keepalive: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum MfaMode {
    Disabled,
    Internal,
    External,
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
pub enum DeviceCommand {
    /// List devices
    List {
        /// Only those of this person
        #[arg(long, value_name = "LOGIN")]
        user: Option<String>,
    },
    /// Remove a device; its addresses become free
    Remove {
        /// Id, as `device list` shows it
        id: i64,
    },
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
