//! Queries on locations and the addresses in them.

use ipnet::IpNet;

use super::Tx;
use crate::{
    device::DeviceId,
    location::{AddressRange, Location, LocationId, LocationSummary, MfaMode},
    store::{
        StoreError,
        sql::{Row, sql},
    },
};

const DAMAGED: StoreError = StoreError::Damaged { table: "locations" };

impl Tx {
    /// `None`: the name is taken.
    pub async fn insert_location(&mut self, location: &Location) -> Result<Option<LocationId>, StoreError> {
        let now = self.now();
        let id = sql(
            "INSERT INTO locations (name, endpoint, public_key, allowed_ips, dns, mfa_mode, keepalive_seconds, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING RETURNING id",
        )
        .bind(&location.name)
        .bind(&location.endpoint)
        .bind(&location.public_key)
        .bind(&location.allowed_ips)
        .bind(&location.dns)
        .bind(location.mfa_mode.as_str())
        .bind(i64::from(location.keepalive_seconds))
        .bind(now.as_unix())
        .scalar_optional(&mut self.connection)
        .await?;
        Ok(id.map(LocationId))
    }

    pub async fn insert_location_range(
        &mut self,
        location: LocationId,
        position: i64,
        range: &AddressRange,
    ) -> Result<(), StoreError> {
        let too_large = |_| StoreError::Damaged { table: "location_ranges" };
        sql("INSERT INTO location_ranges (location_id, position, network, gateway_offset, next_offset, last_offset)
             VALUES ($1, $2, $3, $4, 1, $5)")
        .bind(location.0)
        .bind(position)
        .bind(range.network().to_string())
        .bind(i64::try_from(range.gateway_offset()).map_err(too_large)?)
        .bind(i64::try_from(range.last_offset()).map_err(too_large)?)
        .execute(&mut self.connection)
        .await?;
        Ok(())
    }

    /// Gives every device of a person an address in a range that is still untouched, in order and around the gateway.
    pub async fn address_all_devices(&mut self, location: LocationId, position: i64) -> Result<(), StoreError> {
        sql("INSERT INTO device_addresses (location_id, position, host_offset, device_id)
             SELECT r.location_id, r.position, d.n + CASE WHEN d.n >= r.gateway_offset THEN 1 ELSE 0 END, d.id
             FROM location_ranges AS r,
                  (SELECT id, ROW_NUMBER() OVER (ORDER BY id) AS n FROM devices WHERE person_id IS NOT NULL) AS d
             WHERE r.location_id = $1 AND r.position = $2")
        .bind(location.0)
        .bind(position)
        .execute(&mut self.connection)
        .await?;
        sql("UPDATE location_ranges SET next_offset = 1 + COALESCE(
                (SELECT MAX(host_offset) FROM device_addresses WHERE location_id = $1 AND position = $2), 0)
             WHERE location_id = $1 AND position = $2")
        .bind(location.0)
        .bind(position)
        .execute(&mut self.connection)
        .await?;
        Ok(())
    }

    pub async fn location_by_name(&mut self, name: &str) -> Result<Option<Location>, StoreError> {
        let row = sql(
            "SELECT id AS location_id, name AS location_name, endpoint, public_key AS location_key, allowed_ips, dns,
                    mfa_mode, keepalive_seconds
             FROM locations WHERE name = $1",
        )
        .bind(name)
        .fetch_optional(&mut self.connection)
        .await?;
        row.as_ref().map(location).transpose()
    }

    pub async fn update_location(&mut self, location: &Location) -> Result<(), StoreError> {
        sql(
            "UPDATE locations SET name = $2, endpoint = $3, public_key = $4, allowed_ips = $5, dns = $6, mfa_mode = $7,
                    keepalive_seconds = $8
             WHERE id = $1",
        )
        .bind(location.id.0)
        .bind(&location.name)
        .bind(&location.endpoint)
        .bind(&location.public_key)
        .bind(&location.allowed_ips)
        .bind(&location.dns)
        .bind(location.mfa_mode.as_str())
        .bind(i64::from(location.keepalive_seconds))
        .execute(&mut self.connection)
        .await?;
        Ok(())
    }

    /// Its ranges and everything in them go along.
    pub async fn delete_location(&mut self, id: LocationId) -> Result<(), StoreError> {
        sql("DELETE FROM locations WHERE id = $1").bind(id.0).execute(&mut self.connection).await?;
        Ok(())
    }

    pub async fn count_devices_at(&mut self, location: LocationId) -> Result<u32, StoreError> {
        let count = sql("SELECT COUNT(DISTINCT device_id) FROM device_addresses WHERE location_id = $1");
        count.bind(location.0).scalar_one(&mut self.connection).await
    }

    pub async fn count_hosts_at(&mut self, location: LocationId) -> Result<u32, StoreError> {
        let count = sql("SELECT COUNT(*) FROM devices WHERE person_id IS NULL
             AND id IN (SELECT device_id FROM device_addresses WHERE location_id = $1)");
        count.bind(location.0).scalar_one(&mut self.connection).await
    }

    pub async fn delete_hosts_at(&mut self, location: LocationId) -> Result<u32, StoreError> {
        let deleted = sql("DELETE FROM devices WHERE person_id IS NULL
             AND id IN (SELECT device_id FROM device_addresses WHERE location_id = $1)")
        .bind(location.0)
        .execute(&mut self.connection)
        .await?;
        Ok(u32::try_from(deleted).unwrap_or(u32::MAX))
    }

    pub async fn locations(&mut self) -> Result<Vec<LocationSummary>, StoreError> {
        let rows = sql("SELECT l.id AS location_id, l.name AS location_name, l.endpoint, l.public_key AS location_key,
                    l.allowed_ips, l.dns, l.mfa_mode, l.keepalive_seconds, r.network,
                    (SELECT COUNT(*) FROM device_addresses AS a
                     WHERE a.location_id = r.location_id AND a.position = r.position) AS devices
             FROM locations AS l JOIN location_ranges AS r ON r.location_id = l.id ORDER BY l.id, r.position")
        .fetch_all(&mut self.connection)
        .await?;
        let mut summaries: Vec<LocationSummary> = Vec::new();
        for row in &rows {
            let location = location(row)?;
            let range: String = row.try_get("network")?;
            match summaries.last_mut() {
                Some(summary) if summary.location.id == location.id => summary.ranges.push(range),
                _ => {
                    summaries.push(LocationSummary { location, ranges: vec![range], devices: row.try_get("devices")? })
                }
            }
        }
        Ok(summaries)
    }

    /// Every range of every location, with its location's name.
    pub async fn ranges(&mut self) -> Result<Vec<(LocationId, i64, String)>, StoreError> {
        let rows = sql("SELECT r.location_id, r.position, l.name FROM location_ranges AS r
             JOIN locations AS l ON l.id = r.location_id ORDER BY r.location_id, r.position")
        .fetch_all(&mut self.connection)
        .await?;
        rows.iter()
            .map(|row| Ok((LocationId(row.try_get("location_id")?), row.try_get("position")?, row.try_get("name")?)))
            .collect()
    }

    /// Takes the next free address for a device. False: the range is used up.
    ///
    /// A released address is given out again only when all others are taken, so that what still remembers the old
    /// device (a gateway, a firewall rule) has long forgotten it.
    pub async fn take_address(
        &mut self,
        location: LocationId,
        position: i64,
        device: DeviceId,
    ) -> Result<bool, StoreError> {
        let offset = match self.next_unused_offset(location, position).await? {
            Some(offset) => offset,
            None => match self.oldest_released_offset(location, position).await? {
                Some(offset) => offset,
                None => return Ok(false),
            },
        };
        sql("INSERT INTO device_addresses (location_id, position, host_offset, device_id) VALUES ($1, $2, $3, $4)")
            .bind(location.0)
            .bind(position)
            .bind(offset)
            .bind(device.0)
            .execute(&mut self.connection)
            .await?;
        Ok(true)
    }

    pub async fn release_addresses(&mut self, device: DeviceId) -> Result<(), StoreError> {
        let now = self.now();
        sql("INSERT INTO released_addresses (location_id, position, host_offset, released_at)
             SELECT location_id, position, host_offset, $2 FROM device_addresses WHERE device_id = $1")
        .bind(device.0)
        .bind(now.as_unix())
        .execute(&mut self.connection)
        .await?;
        sql("DELETE FROM device_addresses WHERE device_id = $1").bind(device.0).execute(&mut self.connection).await?;
        Ok(())
    }

    async fn next_unused_offset(&mut self, location: LocationId, position: i64) -> Result<Option<i64>, StoreError> {
        let offset = sql("UPDATE location_ranges
             SET next_offset = 1 + next_offset + CASE WHEN next_offset = gateway_offset THEN 1 ELSE 0 END
             WHERE location_id = $1 AND position = $2
               AND next_offset + CASE WHEN next_offset = gateway_offset THEN 1 ELSE 0 END <= last_offset
             RETURNING next_offset - 1")
        .bind(location.0)
        .bind(position)
        .scalar_optional(&mut self.connection)
        .await?;
        Ok(offset)
    }

    async fn oldest_released_offset(&mut self, location: LocationId, position: i64) -> Result<Option<i64>, StoreError> {
        let offset = sql("DELETE FROM released_addresses WHERE location_id = $1 AND position = $2 AND host_offset =
                (SELECT host_offset FROM released_addresses WHERE location_id = $1 AND position = $2
                 ORDER BY released_at, host_offset LIMIT 1)
             RETURNING host_offset")
        .bind(location.0)
        .bind(position)
        .scalar_optional(&mut self.connection)
        .await?;
        Ok(offset)
    }
}

pub(super) fn location(row: &Row) -> Result<Location, StoreError> {
    let mfa_mode: &str = row.try_get("mfa_mode")?;
    let keepalive: i64 = row.try_get("keepalive_seconds")?;
    Ok(Location {
        id: LocationId(row.try_get("location_id")?),
        name: row.try_get("location_name")?,
        endpoint: row.try_get("endpoint")?,
        public_key: row.try_get("location_key")?,
        allowed_ips: row.try_get("allowed_ips")?,
        dns: row.try_get("dns")?,
        mfa_mode: MfaMode::parse(mfa_mode).ok_or(DAMAGED)?,
        keepalive_seconds: u16::try_from(keepalive).map_err(|_| DAMAGED)?,
    })
}

pub(super) fn network(row: &Row) -> Result<IpNet, StoreError> {
    row.try_get::<&str>("network")?.parse().map_err(|_| StoreError::Damaged { table: "location_ranges" })
}
