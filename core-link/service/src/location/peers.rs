//! Who may connect to a location now, and the text that `wg syncconf` reads.
//!
//! Without MFA that is every device with a key; with MFA only devices whose login still holds, each under the
//! preshared key of that login. Devices of disabled people never are.

use std::{
    fmt::{self, Write as _},
    net::IpAddr,
};

use zeroize::Zeroizing;

use super::{FindLocationError, Location, find};
use crate::{clock::Timestamp, device::DeviceId, mfa::PresharedKey, store::Tx};

/// What one `[Peer]` section takes, roughly.
const SECTION_LENGTH: usize = 192;

/// A location and its peers, in the order of their devices' ids.
#[derive(Debug)]
pub struct Peers {
    pub location: Location,
    pub peers: Vec<Peer>,
}

/// A device that may connect.
#[derive(Debug)]
pub struct Peer {
    pub device: DeviceId,
    pub name: String,
    /// Its owner; a host has none.
    pub login: Option<String>,
    pub public_key: String,
    pub addresses: Vec<IpAddr>,
    /// Where a login is needed.
    pub authorisation: Option<Authorisation>,
}

/// What a passed login is worth.
#[derive(Debug)]
pub struct Authorisation {
    pub until: Timestamp,
    pub preshared_key: PresharedKey,
}

pub async fn peers(tx: &mut Tx, name: &str) -> Result<Peers, FindLocationError> {
    let location = find(tx, name).await?;
    let peers =
        if location.needs_login() { tx.authorised_peers(location.id).await? } else { tx.peers(location.id).await? };
    Ok(Peers { location, peers })
}

impl Peers {
    /// `[Peer]` sections. An `[Interface]` section, which only the server has, must stand before them.
    pub fn wg_syncconf(&self) -> Zeroizing<String> {
        // Room from the start: text that grows leaves copies of the keys behind.
        let mut text = Zeroizing::new(String::with_capacity((1 + self.peers.len()) * SECTION_LENGTH));
        self.write(&mut text).expect("a string grows");
        text
    }

    fn write(&self, text: &mut String) -> fmt::Result {
        let count = self.peers.len();
        writeln!(text, "# {}: {count} {}", self.location.name, if count == 1 { "peer" } else { "peers" })?;
        for peer in &self.peers {
            write!(text, "\n[Peer]\nPublicKey = {}\n", peer.public_key)?;
            if let Some(Authorisation { preshared_key, .. }) = &peer.authorisation {
                writeln!(text, "PresharedKey = {}", *preshared_key.to_base64())?;
            }
            let prefixes = peer.addresses.iter().map(|address| ipnet::IpNet::from(*address));
            writeln!(text, "AllowedIPs = {}", super::comma_separated(prefixes))?;
        }
        Ok(())
    }
}
