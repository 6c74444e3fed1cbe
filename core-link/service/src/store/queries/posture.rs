//! Queries on what devices tell about themselves.

use super::Tx;
use crate::{
    clock::Timestamp,
    device::DeviceId,
    posture::{Report, StoredReport},
    store::{StoreError, sql::sql},
};

const DAMAGED: StoreError = StoreError::Damaged { table: "device_posture" };

impl Tx {
    pub async fn posture(&mut self, device: DeviceId) -> Result<Option<StoredReport>, StoreError> {
        let row = sql("SELECT report, reported_at, recorded_at FROM device_posture WHERE device_id = $1")
            .bind(device.0)
            .fetch_optional(&mut self.connection)
            .await?;
        row.map(|row| {
            Ok(StoredReport {
                report: report(row.try_get("report")?)?,
                reported_at: Timestamp::from_unix(row.try_get("reported_at")?),
                recorded_at: Timestamp::from_unix(row.try_get("recorded_at")?),
            })
        })
        .transpose()
    }

    pub async fn keep_posture(
        &mut self,
        device: DeviceId,
        report: &Report,
        recorded_at: Timestamp,
    ) -> Result<(), StoreError> {
        let now = self.now();
        sql("INSERT INTO device_posture (device_id, report, reported_at, recorded_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (device_id) DO UPDATE SET report = excluded.report, reported_at = excluded.reported_at,
                recorded_at = excluded.recorded_at")
        .bind(device.0)
        .bind(text(report))
        .bind(now.as_unix())
        .bind(recorded_at.as_unix())
        .execute(&mut self.connection)
        .await?;
        Ok(())
    }
}

/// As it rests in a column.
pub(super) fn text(report: &Report) -> String {
    serde_json::to_string(report).expect("texts and booleans are JSON")
}

pub(super) fn report(text: &str) -> Result<Report, StoreError> {
    serde_json::from_str(text).map_err(|_| DAMAGED)
}
