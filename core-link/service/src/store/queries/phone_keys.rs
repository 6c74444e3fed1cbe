//! Queries on the keys of phones.

use super::Tx;
use crate::{
    device::DeviceId,
    mfa::PhoneKey,
    person::PersonId,
    store::{StoreError, sql::sql},
};

const DAMAGED: StoreError = StoreError::Damaged { table: "phone_keys" };

impl Tx {
    /// In place of the device's older one. False: it has this one already.
    pub async fn keep_phone_key(&mut self, device: DeviceId, key: &PhoneKey) -> Result<bool, StoreError> {
        let now = self.now();
        let kept = sql("INSERT INTO phone_keys (device_id, public_key, registered_at) VALUES ($1, $2, $3)
             ON CONFLICT (device_id) DO UPDATE
             SET public_key = excluded.public_key, registered_at = excluded.registered_at
             WHERE phone_keys.public_key <> excluded.public_key")
        .bind(device.0)
        .bind(key.as_bytes())
        .bind(now.as_unix())
        .execute(&mut self.connection)
        .await?;
        Ok(kept > 0)
    }

    pub async fn phone_key(&mut self, device: DeviceId) -> Result<Option<PhoneKey>, StoreError> {
        let key: Option<Vec<u8>> = sql("SELECT public_key FROM phone_keys WHERE device_id = $1")
            .bind(device.0)
            .scalar_optional(&mut self.connection)
            .await?;
        key.map(|key| PhoneKey::from_bytes(&key).map_err(|_| DAMAGED)).transpose()
    }

    /// The device of this person that has this key.
    pub async fn phone_with_key(&mut self, person: PersonId, key: &PhoneKey) -> Result<Option<DeviceId>, StoreError> {
        let device: Option<i64> = sql("SELECT d.id FROM devices AS d JOIN phone_keys AS k ON k.device_id = d.id
             WHERE d.person_id = $1 AND k.public_key = $2 ORDER BY d.id LIMIT 1")
        .bind(person.0)
        .bind(key.as_bytes())
        .scalar_optional(&mut self.connection)
        .await?;
        Ok(device.map(DeviceId))
    }

    pub async fn has_phone(&mut self, person: PersonId) -> Result<bool, StoreError> {
        let found =
            sql("SELECT 1 FROM devices AS d JOIN phone_keys AS k ON k.device_id = d.id WHERE d.person_id = $1 LIMIT 1")
                .bind(person.0)
                .fetch_optional(&mut self.connection)
                .await?;
        Ok(found.is_some())
    }

    pub async fn delete_phone_keys(&mut self, person: PersonId) -> Result<(), StoreError> {
        sql("DELETE FROM phone_keys WHERE device_id IN (SELECT id FROM devices WHERE person_id = $1)")
            .bind(person.0)
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }
}
