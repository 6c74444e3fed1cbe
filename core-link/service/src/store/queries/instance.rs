//! Queries on the instance and on session keys.

use uuid::Uuid;
use zeroize::Zeroizing;

use super::Tx;
use crate::{
    instance::InstanceId,
    sealing::Place,
    session_keys::{SessionKey, SessionKeyRing},
    store::{StoreError, sql::sql},
};

impl Tx {
    /// The id that is stored, which is this one when there was none.
    pub async fn ensure_instance(&mut self, id: InstanceId) -> Result<InstanceId, StoreError> {
        let now = self.now();
        sql("INSERT INTO instance (singleton, id, created_at) VALUES (1, $1, $2) ON CONFLICT DO NOTHING")
            .bind(id.to_string())
            .bind(now.as_unix())
            .execute(&mut self.connection)
            .await?;
        let id: String = sql("SELECT id FROM instance").scalar_one(&mut self.connection).await?;
        let id = Uuid::parse_str(&id).map_err(|_| StoreError::Damaged { table: "instance" })?;
        Ok(InstanceId::from_uuid(id))
    }

    pub async fn has_session_keys(&mut self) -> Result<bool, StoreError> {
        let keys: i64 = sql("SELECT COUNT(*) FROM session_keys").scalar_one(&mut self.connection).await?;
        Ok(keys > 0)
    }

    pub async fn insert_primary_session_key(&mut self, key: &SessionKey, epoch: i64) -> Result<(), StoreError> {
        let now = self.now();
        let sealed = self.sealer().seal(place(&key.id), key.key.as_slice());
        sql("INSERT INTO session_keys (key_id, sealed_key, primary_epoch, created_at) VALUES ($1, $2, $3, $4)")
            .bind(key.id.as_slice())
            .bind(sealed)
            .bind(epoch)
            .bind(now.as_unix())
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    pub async fn session_key_ring(&mut self) -> Result<SessionKeyRing, StoreError> {
        const DAMAGED: StoreError = StoreError::Damaged { table: "session_keys" };
        let rows = sql("SELECT key_id, sealed_key, primary_epoch FROM session_keys
             ORDER BY COALESCE(primary_epoch, 0) DESC, created_at DESC")
        .fetch_all(&mut self.connection)
        .await?;
        let epoch: Option<i64> = rows.first().ok_or(DAMAGED)?.try_get("primary_epoch")?;
        let mut keys = Vec::with_capacity(rows.len());
        for row in rows {
            let id: Vec<u8> = row.try_get("key_id")?;
            let sealed: Vec<u8> = row.try_get("sealed_key")?;
            let key = self.sealer().open(place(&id), &sealed)?;
            let key = key.as_slice().try_into().map_err(|_| DAMAGED)?;
            keys.push(SessionKey { id: id.try_into().map_err(|_| DAMAGED)?, key: Zeroizing::new(key) });
        }
        Ok(SessionKeyRing {
            epoch: epoch.and_then(|epoch| u64::try_from(epoch).ok()).ok_or(DAMAGED)?,
            primary: keys.remove(0),
            open_only: keys,
        })
    }
}

fn place(key_id: &[u8]) -> Place<'_> {
    Place { table: "session_keys", column: "sealed_key", row: key_id }
}
