//! Queries on devices and polling tokens.

use super::{Tx, locations};
use crate::{
    clock::Timestamp,
    device::{Device, DeviceId, DeviceName, DeviceSetup, DeviceSummary, Place, PublicKey},
    enrollment::EnrollmentTokenId,
    location::address_at,
    person::PersonId,
    store::{
        StoreError,
        sql::{Row, sql},
    },
    token::TokenDigest,
};

/// A client that lost an answer holds an older token than the newest. Two lost answers in a row are forgiven.
const POLLING_TOKENS_KEPT: i64 = 3;

/// A device, its owner if it has one and, once for each address, its locations: one statement, so one snapshot.
macro_rules! setup_query {
    ($from:literal, $condition:literal) => {
        setup_query!("", $from, $condition, "")
    };
    ($columns:literal, $from:literal, $condition:literal, $order:literal) => {
        concat!(
            "SELECT ",
            $columns,
            "d.id AS device_id, d.name AS device_name, d.public_key AS device_key, d.person_id,
                    d.created_at AS device_created_at, p.login, p.disabled_at,
                    l.id AS location_id, l.name AS location_name, l.endpoint, l.public_key AS location_key,
                    l.allowed_ips, l.dns, l.mfa_mode, l.keepalive_seconds, r.network, a.host_offset
             FROM ",
            $from,
            " LEFT JOIN people AS p ON p.id = d.person_id
             LEFT JOIN device_addresses AS a ON a.device_id = d.id
             LEFT JOIN location_ranges AS r ON r.location_id = a.location_id AND r.position = a.position
             LEFT JOIN locations AS l ON l.id = a.location_id
             WHERE ",
            $condition,
            " ORDER BY ",
            $order,
            "a.location_id, a.position"
        )
    };
}
pub(super) use setup_query;

/// Devices for a list, once for each address.
macro_rules! summary_query {
    ($condition:literal) => {
        concat!(
            "SELECT d.id AS device_id, d.name AS device_name, d.public_key AS device_key,
                    d.created_at AS device_created_at, p.login, r.network, a.host_offset
             FROM devices AS d LEFT JOIN people AS p ON p.id = d.person_id
             LEFT JOIN device_addresses AS a ON a.device_id = d.id
             LEFT JOIN location_ranges AS r ON r.location_id = a.location_id AND r.position = a.position
             WHERE ",
            $condition,
            " ORDER BY d.id, a.location_id, a.position"
        )
    };
}

impl Tx {
    /// The device with this key, and the token in whose session it was made.
    pub async fn device_by_key(
        &mut self,
        key: &PublicKey,
    ) -> Result<Option<(Device, Option<EnrollmentTokenId>)>, StoreError> {
        let row = sql("SELECT id AS device_id, name AS device_name, public_key AS device_key, person_id,
                    created_at AS device_created_at, enrollment_token_id
             FROM devices WHERE public_key = $1")
        .bind(key.as_str())
        .fetch_optional(&mut self.connection)
        .await?;
        row.map(|row| {
            let made_in: Option<i64> = row.try_get("enrollment_token_id")?;
            Ok((device(&row)?, made_in.map(EnrollmentTokenId)))
        })
        .transpose()
    }

    pub async fn insert_device(
        &mut self,
        person: PersonId,
        session: EnrollmentTokenId,
        name: &DeviceName,
        key: &PublicKey,
    ) -> Result<DeviceId, StoreError> {
        let now = self.now();
        let id = sql("INSERT INTO devices (person_id, name, public_key, enrollment_token_id, created_at)
             VALUES ($1, $2, $3, $4, $5) RETURNING id")
        .bind(person.0)
        .bind(name.as_str())
        .bind(key.as_str())
        .bind(session.0)
        .bind(now.as_unix())
        .scalar_one(&mut self.connection)
        .await?;
        Ok(DeviceId(id))
    }

    pub async fn delete_device(&mut self, id: DeviceId) -> Result<(), StoreError> {
        sql("DELETE FROM devices WHERE id = $1").bind(id.0).execute(&mut self.connection).await?;
        Ok(())
    }

    /// Of people; hosts choose their location.
    pub async fn count_devices(&mut self) -> Result<u32, StoreError> {
        let count = sql("SELECT COUNT(*) FROM devices WHERE person_id IS NOT NULL");
        count.scalar_one(&mut self.connection).await
    }

    pub async fn count_devices_of(&mut self, person: PersonId) -> Result<u32, StoreError> {
        let count = sql("SELECT COUNT(*) FROM devices WHERE person_id = $1").bind(person.0);
        count.scalar_one(&mut self.connection).await
    }

    pub async fn device_names(&mut self, person: PersonId) -> Result<Vec<String>, StoreError> {
        let names = sql("SELECT name FROM devices WHERE person_id = $1 ORDER BY id").bind(person.0);
        names.scalar_all(&mut self.connection).await
    }

    pub async fn device_setup(&mut self, id: DeviceId) -> Result<Option<DeviceSetup>, StoreError> {
        let rows = sql(setup_query!("devices AS d", "d.id = $1")).bind(id.0);
        setup(&rows.fetch_all(&mut self.connection).await?)
    }

    /// Adds a polling token and forgets all but the newest few of the device.
    pub async fn insert_polling_token(&mut self, device: DeviceId, token: &TokenDigest) -> Result<(), StoreError> {
        let now = self.now();
        sql("INSERT INTO polling_tokens (device_id, digest, created_at) VALUES ($1, $2, $3)")
            .bind(device.0)
            .bind(token.as_bytes())
            .bind(now.as_unix())
            .execute(&mut self.connection)
            .await?;
        sql("DELETE FROM polling_tokens WHERE device_id = $1 AND id NOT IN
             (SELECT id FROM polling_tokens WHERE device_id = $1 ORDER BY id DESC LIMIT $2)")
        .bind(device.0)
        .bind(POLLING_TOKENS_KEPT)
        .execute(&mut self.connection)
        .await?;
        Ok(())
    }

    /// Says how many there were.
    pub async fn end_polling_tokens(&mut self, device: DeviceId) -> Result<u64, StoreError> {
        let ended = sql("DELETE FROM polling_tokens WHERE device_id = $1").bind(device.0);
        ended.execute(&mut self.connection).await
    }

    pub async fn device(&mut self, id: DeviceId) -> Result<Option<DeviceSummary>, StoreError> {
        let rows = sql(summary_query!("d.id = $1")).bind(id.0);
        Ok(summaries(&rows.fetch_all(&mut self.connection).await?)?.pop())
    }

    pub async fn devices(&mut self, login: Option<&str>) -> Result<Vec<DeviceSummary>, StoreError> {
        let rows = sql(summary_query!("$1 IS NULL OR p.login = $1")).bind(login);
        summaries(&rows.fetch_all(&mut self.connection).await?)
    }
}

fn summaries(rows: &[Row]) -> Result<Vec<DeviceSummary>, StoreError> {
    let mut summaries: Vec<DeviceSummary> = Vec::new();
    for row in rows {
        let id = DeviceId(row.try_get("device_id")?);
        let address = address(row)?;
        match summaries.last_mut() {
            Some(summary) if summary.id == id => summary.addresses.extend(address),
            _ => summaries.push(DeviceSummary {
                id,
                name: row.try_get("device_name")?,
                login: row.try_get("login")?,
                public_key: row.try_get("device_key")?,
                addresses: address.into_iter().collect(),
                created_at: Timestamp::from_unix(row.try_get("device_created_at")?),
            }),
        }
    }
    Ok(summaries)
}

/// Of the rows of one device.
pub(super) fn setup(rows: &[Row]) -> Result<Option<DeviceSetup>, StoreError> {
    let Some(first) = rows.first() else { return Ok(None) };
    let mut places: Vec<Place> = Vec::new();
    for row in rows {
        let Some(address) = address(row)? else { continue };
        let location = locations::location(row)?;
        match places.last_mut() {
            Some(place) if place.location.id == location.id => {
                place.addresses.push(',');
                place.addresses.push_str(&address);
            }
            _ => places.push(Place { location, addresses: address }),
        }
    }
    let device = device(first)?;
    let login: Option<String> = first.try_get("login")?;
    Ok(Some(DeviceSetup {
        username: login.unwrap_or_else(|| device.name.clone()),
        device,
        owner_is_disabled: first.try_get::<Option<i64>>("disabled_at")?.is_some(),
        places,
    }))
}

fn device(row: &Row) -> Result<Device, StoreError> {
    Ok(Device {
        id: DeviceId(row.try_get("device_id")?),
        name: row.try_get("device_name")?,
        public_key: row.try_get("device_key")?,
        person_id: row.try_get::<Option<i64>>("person_id")?.map(PersonId),
        created_at: Timestamp::from_unix(row.try_get("device_created_at")?),
    })
}

/// `None`: the device has no address, because there is no location yet.
fn address(row: &Row) -> Result<Option<String>, StoreError> {
    const DAMAGED: StoreError = StoreError::Damaged { table: "device_addresses" };
    let Some(offset) = row.try_get::<Option<i64>>("host_offset")? else { return Ok(None) };
    let offset = u64::try_from(offset).map_err(|_| DAMAGED)?;
    let address = address_at(locations::network(row)?, offset).ok_or(DAMAGED)?;
    Ok(Some(address.to_string()))
}
