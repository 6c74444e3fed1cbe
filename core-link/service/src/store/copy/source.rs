//! The file that is copied: opened to read, in one transaction, by nobody else meanwhile.

use std::path::Path;

use futures::stream::BoxStream;
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteRow},
};

use super::{
    CopyError,
    error::on,
    schema::{self, Schema, Table},
};
use crate::{
    sealing::Sealer,
    store::{OpenError, sqlite, tx::MASTER_KEY_CHECK},
};

pub(super) struct Source {
    connection: SqliteConnection,
    name: String,
}

impl Source {
    /// Refuses a file that another version wrote, or that belongs to another key.
    pub(super) async fn open(file: &Path, sealer: &Sealer) -> Result<Self, CopyError> {
        let name = file.display().to_string();
        if !file.exists() {
            return Err(CopyError::NoSource { database: name });
        }
        let options = SqliteConnectOptions::new().filename(file).read_only(true).disable_statement_logging();
        let mut source = Self { connection: options.connect().await.map_err(on(&name))?, name };
        source.check(sealer).await?;
        Ok(source)
    }

    async fn check(&mut self, sealer: &Sealer) -> Result<(), CopyError> {
        let (failed, database) = (on(&self.name), self.name.clone());
        sqlx::query("BEGIN").execute(&mut self.connection).await.map_err(&failed)?;
        let has_migrations: i64 =
            self.number("SELECT COUNT(*) FROM sqlite_schema WHERE name = '_sqlx_migrations'").await?;
        let version = match has_migrations {
            0 => 0,
            _ => self.number("SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations WHERE success").await?,
        };
        if version > sqlite::NEWEST_MIGRATION {
            return Err(OpenError::Newer { database, migration: version }.into());
        }
        if version < sqlite::NEWEST_MIGRATION {
            return Err(CopyError::OlderSource { database });
        }
        let sealed: Option<Vec<u8>> = sqlx::query_scalar("SELECT sealed FROM master_key_check")
            .fetch_optional(&mut self.connection)
            .await
            .map_err(failed)?;
        let is_ours = sealed.is_some_and(|sealed| sealer.open(MASTER_KEY_CHECK, &sealed).is_ok());
        if is_ours { Ok(()) } else { Err(CopyError::OtherMasterKey { database }) }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) async fn schema(&mut self) -> Result<Schema, sqlx::Error> {
        schema::of_sqlite(&mut self.connection).await
    }

    /// In the order of the primary key; the number that SQLite has given to each comes first.
    pub(super) fn rows(&mut self, table: &Table) -> BoxStream<'_, Result<SqliteRow, sqlx::Error>> {
        let (columns, key) = (table.column_list(), table.key_list());
        // Names that the database has told itself.
        let select = format!("SELECT rowid AS number_of_row, {columns} FROM \"{}\" ORDER BY {key}", table.name);
        sqlx::query(AssertSqlSafe(select)).fetch(&mut self.connection)
    }

    /// The highest number that a row of this table ever had, also if that row is gone.
    pub(super) async fn newest_id(&mut self, table: &Table) -> Result<i64, CopyError> {
        let newest: Option<i64> =
            sqlx::query_scalar(AssertSqlSafe(format!("SELECT MAX(rowid) FROM \"{}\"", table.name)))
                .fetch_one(&mut self.connection)
                .await
                .map_err(on(&self.name))?;
        let counted: Option<i64> = sqlx::query_scalar("SELECT seq FROM sqlite_sequence WHERE name = ?")
            .bind(&table.name)
            .fetch_optional(&mut self.connection)
            .await
            .map_err(on(&self.name))?;
        Ok(newest.max(counted).unwrap_or_default())
    }

    pub(super) async fn close(self) {
        // Nothing was changed.
        self.connection.close().await.ok();
    }

    async fn number(&mut self, query: &'static str) -> Result<i64, CopyError> {
        sqlx::query_scalar(query).fetch_one(&mut self.connection).await.map_err(on(&self.name))
    }
}
