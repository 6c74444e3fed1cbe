//! Queries on hosts: devices without a person.

use super::Tx;
use crate::{
    device::{DeviceId, DeviceName, Host, PublicKey},
    enrollment::EnrollmentTokenId,
    location::LocationId,
    store::{
        StoreError,
        sql::{Row, sql},
    },
};

impl Tx {
    /// A host, and the location that it has its addresses in.
    pub async fn host_by_name(&mut self, name: &DeviceName) -> Result<Option<(Host, LocationId)>, StoreError> {
        let row = sql(
            "SELECT d.id AS host_id, d.name AS host_name, d.public_key IS NOT NULL AS host_is_enrolled, a.location_id
             FROM devices AS d JOIN device_addresses AS a ON a.device_id = d.id
             WHERE d.name = $1 AND d.person_id IS NULL LIMIT 1",
        )
        .bind(name.as_str())
        .fetch_optional(&mut self.connection)
        .await?;
        row.map(|row| Ok((host(&row)?, LocationId(row.try_get("location_id")?)))).transpose()
    }

    pub async fn insert_host(&mut self, name: &DeviceName) -> Result<DeviceId, StoreError> {
        let now = self.now();
        let id = sql("INSERT INTO devices (name, created_at) VALUES ($1, $2) RETURNING id")
            .bind(name.as_str())
            .bind(now.as_unix())
            .scalar_one(&mut self.connection)
            .await?;
        Ok(DeviceId(id))
    }

    /// Gives a host its key, and notes the session in which it brought it.
    pub async fn enroll_host(
        &mut self,
        id: DeviceId,
        key: &PublicKey,
        session: Option<EnrollmentTokenId>,
    ) -> Result<(), StoreError> {
        sql("UPDATE devices SET public_key = $2, enrollment_token_id = $3 WHERE id = $1")
            .bind(id.0)
            .bind(key.as_str())
            .bind(session.map(|session| session.0))
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }
}

pub(super) fn host(row: &Row) -> Result<Host, StoreError> {
    Ok(Host {
        id: DeviceId(row.try_get("host_id")?),
        name: row.try_get("host_name")?,
        is_enrolled: row.try_get("host_is_enrolled")?,
    })
}
