//! Queries on who may connect to a location.

use std::{net::IpAddr, sync::Arc};

use super::{Tx, authorisations::open_preshared_key, locations::network};
use crate::{
    clock::Timestamp,
    device::DeviceId,
    location::{Authorisation, LocationId, Peer, address_at},
    sealing::Sealer,
    store::{
        StoreError,
        sql::{Row, sql},
    },
};

/// A device once for each of its addresses at a location: one statement, so one snapshot.
macro_rules! peers_query {
    ($authorisation:literal, $from:literal, $and:literal) => {
        concat!(
            "SELECT d.id AS device_id, d.name AS device_name, d.public_key AS device_key, p.login,
                    r.network, a.host_offset, ",
            $authorisation,
            " FROM ",
            $from,
            " JOIN location_ranges AS r ON r.location_id = a.location_id AND r.position = a.position
             LEFT JOIN people AS p ON p.id = d.person_id
             WHERE a.location_id = $1 AND d.public_key IS NOT NULL AND p.disabled_at IS NULL ",
            $and,
            " ORDER BY d.id, a.position"
        )
    };
}

impl Tx {
    /// Devices with a key, of nobody or of people who are not disabled.
    pub async fn peers(&mut self, location: LocationId) -> Result<Vec<Peer>, StoreError> {
        let mut peers = Vec::new();
        sql(peers_query!(
            "NULL AS authorised_until",
            "device_addresses AS a JOIN devices AS d ON d.id = a.device_id",
            ""
        ))
        .bind(location.0)
        .for_each(&mut self.connection, |row| add(&mut peers, row, |_| Ok(None)))
        .await?;
        Ok(peers)
    }

    /// Those of them whose login holds now.
    pub async fn authorised_peers(&mut self, location: LocationId) -> Result<Vec<Peer>, StoreError> {
        let now = self.now();
        let sealer = Arc::clone(&self.part.sealer);
        let mut peers = Vec::new();
        sql(peers_query!(
            "z.authorised_until, z.sealed_preshared_key",
            "authorisations AS z JOIN devices AS d ON d.id = z.device_id
             JOIN device_addresses AS a ON a.device_id = z.device_id AND a.location_id = z.location_id",
            "AND z.location_id = $1 AND z.authorised_until > $2"
        ))
        .bind(location.0)
        .bind(now.as_unix())
        .for_each(&mut self.connection, |row| {
            add(&mut peers, row, |row| authorisation(&sealer, location, row).map(Some))
        })
        .await?;
        Ok(peers)
    }

    /// Ends what devices were given by logins at a location, and logins under way there.
    pub async fn end_logins_at(&mut self, location: LocationId) -> Result<(), StoreError> {
        for statement in
            ["DELETE FROM authorisations WHERE location_id = $1", "DELETE FROM mfa_sessions WHERE location_id = $1"]
        {
            sql(statement).bind(location.0).execute(&mut self.connection).await?;
        }
        Ok(())
    }
}

/// Rows of one device follow each other. Taken one by one: fifty thousand at once would hold up everybody else's polls.
fn add(
    peers: &mut Vec<Peer>,
    row: &Row,
    authorisation: impl Fn(&Row) -> Result<Option<Authorisation>, StoreError>,
) -> Result<(), StoreError> {
    let device = DeviceId(row.try_get("device_id")?);
    let address = address(row)?;
    match peers.last_mut() {
        Some(peer) if peer.device == device => peer.addresses.push(address),
        _ => peers.push(Peer {
            device,
            name: row.try_get("device_name")?,
            login: row.try_get("login")?,
            public_key: row.try_get("device_key")?,
            addresses: vec![address],
            authorisation: authorisation(row)?,
        }),
    }
    Ok(())
}

fn authorisation(sealer: &Sealer, location: LocationId, row: &Row) -> Result<Authorisation, StoreError> {
    let device = DeviceId(row.try_get("device_id")?);
    let sealed: &[u8] = row.try_get("sealed_preshared_key")?;
    let preshared_key = open_preshared_key(sealer, device, location, sealed)?;
    Ok(Authorisation { until: Timestamp::from_unix(row.try_get("authorised_until")?), preshared_key })
}

fn address(row: &Row) -> Result<IpAddr, StoreError> {
    const DAMAGED: StoreError = StoreError::Damaged { table: "device_addresses" };
    let offset = u64::try_from(row.try_get::<i64>("host_offset")?).map_err(|_| DAMAGED)?;
    address_at(network(row)?, offset).ok_or(DAMAGED)
}
