//! Commands about locations.

use std::{net::IpAddr, str::FromStr};

use clap::ArgGroup;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize, clap::Subcommand)]
pub enum LocationCommand {
    /// Add a WireGuard network that devices get an address in
    #[command(after_help = "Example:\n  postern-core location add office --endpoint vpn.example.com:51820 \\\n    \
                            --address 10.10.0.1/16,fd00:10::1/64 --public-key \"$(wg pubkey < server.key)\" \\\n    \
                            --allowed-ips 10.0.0.0/8 --dns 10.10.0.1 --mfa internal")]
    Add(NewLocation),
    /// List locations
    List,
    /// Change a location; clients learn it at their next poll
    #[command(
        after_help = "Example:\n  postern-core location set office --endpoint vpn2.example.com:51820 --mfa internal\n\n\
                            Only what is named changes. The address ranges never do: devices hold addresses in them.\n\
                            Add a location with the new ranges, and remove the old one."
    )]
    Set(LocationChange),
    /// Remove a location; devices lose their addresses there, and hosts of that location are removed
    #[command(after_help = "Example:\n  postern-core location remove office")]
    Remove {
        /// Its name
        name: String,
    },
    /// List who may connect now: at a location with MFA only devices whose login still holds
    #[command(after_help = "Examples:\n  postern-core location peers office\n  \
                            postern-core location peers office --format wg\n\n\
                            --format wg prints [Peer] sections with preshared keys, for `wg syncconf`. The [Interface]\n\
                            section of the server must stand before them: without it, `wg syncconf` takes the server's\n\
                            private key away. deploy/wireguard/postern-peers does it right.")]
    Peers {
        /// Name of the location
        name: String,
        /// What is printed
        #[arg(long, value_enum, default_value_t = PeersFormat::Table)]
        format: PeersFormat,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum PeersFormat {
    Table,
    Json,
    /// For `wg syncconf`; holds secrets
    Wg,
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

#[derive(Debug, Clone, Serialize, Deserialize, clap::Args)]
#[command(group = ArgGroup::new("change").required(true).multiple(true)
    .args(["new_name", "endpoint", "public_key", "allowed_ips", "dns", "mfa", "keepalive"]))]
pub struct LocationChange {
    /// Its name now
    pub name: String,
    /// A new name
    #[arg(long = "name", value_name = "NAME")]
    pub new_name: Option<String>,
    /// Where clients reach the WireGuard server
    #[arg(long, value_name = "HOST:PORT")]
    pub endpoint: Option<String>,
    /// Public key of the WireGuard server
    #[arg(long, value_name = "BASE64")]
    pub public_key: Option<String>,
    /// Networks that clients send through the tunnel
    #[arg(long, value_name = "CIDR", value_delimiter = ',', num_args = 1)]
    pub allowed_ips: Option<Vec<IpNet>>,
    /// Name servers, or `none`
    #[arg(long, value_name = "ADDRESSES")]
    pub dns: Option<NameServers>,
    /// Second factor that a connection needs; a change ends all logins there
    #[arg(long, value_enum)]
    pub mfa: Option<MfaMode>,
    /// Seconds between keep-alive packets
    #[arg(long, value_name = "SECONDS")]
    pub keepalive: Option<u16>,
}

/// Addresses separated by commas, or the word `none`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameServers(pub Vec<IpAddr>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum MfaMode {
    Disabled,
    Internal,
    External,
}

impl FromStr for NameServers {
    type Err = std::net::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "none" {
            return Ok(Self(Vec::new()));
        }
        text.split(',').map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}
