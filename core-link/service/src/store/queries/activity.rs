//! Queries on activity.

use super::Tx;
use crate::{
    activity::{AuthLine, Entry, Row},
    clock::Timestamp,
    store::{StoreError, sql::sql},
};

impl Tx {
    pub async fn record(&mut self, entry: &Entry) -> Result<(), StoreError> {
        let now = self.now();
        sql("INSERT INTO activity (at, event, actor, subject, ip, edge_id, outcome, detail)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)")
        .bind(now.as_unix())
        .bind(entry.event)
        .bind(&entry.origin.actor)
        .bind(&entry.subject)
        .bind(entry.origin.ip.map(|ip| ip.to_string()))
        .bind(entry.origin.edge_id)
        .bind(entry.outcome.as_str())
        .bind(&entry.detail)
        .execute(&mut self.connection)
        .await?;
        self.log.lines.extend(AuthLine::of(entry));
        Ok(())
    }

    pub async fn newest_activity(&mut self, limit: u32) -> Result<Vec<Row>, StoreError> {
        let rows = sql("SELECT id, at, event, actor, subject, ip, edge_id, outcome, detail
             FROM activity ORDER BY id DESC LIMIT $1")
        .bind(i64::from(limit))
        .fetch_all(&mut self.connection)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Row {
                    id: row.try_get("id")?,
                    at: Timestamp::from_unix(row.try_get("at")?),
                    event: row.try_get("event")?,
                    actor: row.try_get("actor")?,
                    subject: row.try_get("subject")?,
                    ip: row.try_get("ip")?,
                    edge_id: row.try_get("edge_id")?,
                    outcome: row.try_get("outcome")?,
                    detail: row.try_get("detail")?,
                })
            })
            .collect()
    }
}
