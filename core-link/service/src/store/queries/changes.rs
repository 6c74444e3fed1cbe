//! Queries on what Cores tell each other.

use super::Tx;
use crate::{
    changes::{Numbers, Topic},
    store::{
        StoreError,
        sql::{Connection, sql},
    },
};

impl Tx {
    /// Lets every Core know, with the commit, that this has changed.
    pub async fn announce(&mut self, topic: Topic) -> Result<(), StoreError> {
        if topic.is_numbered() {
            sql("INSERT INTO changes (topic, number) VALUES ($1, 1)
                 ON CONFLICT (topic) DO UPDATE SET number = changes.number + 1")
            .bind(topic.as_str())
            .execute(&mut self.connection)
            .await?;
        }
        if let Connection::Postgres(_) = &self.connection {
            // Leaves with the commit, and reaches every Core that listens.
            sql("SELECT pg_notify('postern_changes', $1)").bind(topic.as_str()).execute(&mut self.connection).await?;
        }
        let changed = self.part.changed.clone();
        self.after_commit(move || changed.send_replace(()));
        Ok(())
    }

    pub async fn change_numbers(&mut self) -> Result<Numbers, StoreError> {
        let rows = sql("SELECT topic, number FROM changes").fetch_all(&mut self.connection).await?;
        let mut numbers = Numbers::default();
        for row in &rows {
            // A newer version may have topics that this one does not know.
            if let Some(topic) = Topic::parse(row.try_get("topic")?) {
                numbers.set(topic, row.try_get("number")?);
            }
        }
        Ok(numbers)
    }
}
