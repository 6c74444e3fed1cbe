//! Commands about devices, and about the tokens that people and devices show.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize, clap::Subcommand)]
pub enum DeviceCommand {
    /// Add a host: a device that belongs to nobody, such as a server, in one location
    #[command(after_help = "Examples:\n  postern-core device add web-1 --location office\n  \
                            postern-core device add web-1 --location office --public-key \"$(wg pubkey < web-1.key)\"\n\n\
                            Without a key this makes a token, shown once and valid for 24 hours; on the host then:\n  \
                            dg enroll -u URL -t TOKEN\n\
                            Once more for a host that has not enrolled yet makes a new token; the old one ends.\n\
                            With a key the host is complete, and its configuration for wg-quick is printed.\n\
                            A location with MFA takes no hosts: nobody is there to confirm a login.")]
    Add(NewHost),
    /// List devices
    List {
        /// Only those of this person
        #[arg(long, value_name = "LOGIN")]
        user: Option<String>,
    },
    /// Show what a device last told about itself
    Posture {
        /// Id, as `device list` shows it
        id: i64,
    },
    /// Remove a device; its addresses become free
    Remove {
        /// Id, as `device list` shows it
        id: i64,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize, clap::Args)]
pub struct NewHost {
    /// Its name
    pub name: String,
    /// Name of the location that it gets its address in
    #[arg(long, value_name = "LOCATION")]
    pub location: String,
    /// Its WireGuard public key [default: it brings one when it enrolls]
    #[arg(long, value_name = "BASE64")]
    pub public_key: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, clap::Subcommand)]
pub enum TokenCommand {
    /// End the tokens of a person or of a device, from the next request on
    #[command(after_help = "Examples:\n  postern-core token revoke joe\n  postern-core token revoke --device 7\n\n\
                            The first ends every enrollment token of joe, open sessions included; a new one is made\n\
                            with `user enroll`. The second ends those that device 7 polls with: it stays in its\n\
                            locations but learns no change any more, until its owner enrolls it anew.\n\
                            `device remove` ends its access.")]
    Revoke(TokenHolder),
}

#[derive(Debug, Clone, Serialize, Deserialize, clap::Args)]
#[group(required = true, multiple = false)]
pub struct TokenHolder {
    /// Login name
    pub login: Option<String>,
    /// Id of a device, as `device list` shows it
    #[arg(long, value_name = "ID")]
    pub device: Option<i64>,
}
