//! Copies a whole store from a file of SQLite into an empty database of a Postgres server.
//!
//! Which tables and columns there are is read from both databases, and must be the same, so that none can be forgotten.
//! Everything takes place in one transaction, in which each value is also compared afterwards: what is committed is
//! whole. Nothing is changed in the file, nor in a database that holds anything.

mod comparison;
mod error;
mod schema;
mod source;
mod target;
mod value;

use std::path::Path;

pub use error::CopyError;
use error::{LostRow, on};
use futures::TryStreamExt as _;
use schema::{Schema, Table};
use source::Source;
use sqlx::{Connection as _, PgConnection};
use target::Target;

use super::{Address, OpenError, ServerAddress, postgres};
use crate::sealing::{MasterKey, Sealer};

/// What the database on the server holds now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Each table with the number of its rows.
    pub tables: Vec<(String, u64)>,
    /// All of it was there before; nothing was changed.
    pub was_there: bool,
}

/// Nobody may use the file meanwhile. A second call finds that everything is there.
///
/// # Errors
/// [`CopyError`]; the database is then as it was.
pub async fn copy(file: &Path, server: &ServerAddress, key: &MasterKey) -> Result<Copied, CopyError> {
    let from = Address::from(file).to_string();
    let mut source = Source::open(file, &Sealer::new(key)).await?;
    let mut connection = postgres::connect_once(server).await?;
    let schema = source.schema().await.map_err(on(&from))?;
    let found = schema::of_postgres(&mut connection).await.map_err(on(&server.to_string()))?;
    if let Some(difference) = schema.difference(&found) {
        return Err(CopyError::Schema { database: server.to_string(), difference });
    }
    let copied = Copying { source: &mut source, schema: found, server }.run(&mut connection).await;
    // What was done is committed, and what was not is undone with the connection.
    connection.close().await.ok();
    source.close().await;
    copied
}

struct Copying<'a> {
    source: &'a mut Source,
    schema: Schema,
    server: &'a ServerAddress,
}

impl Copying<'_> {
    async fn run(&mut self, connection: &mut PgConnection) -> Result<Copied, CopyError> {
        let database = self.server.to_string();
        let in_use = || CopyError::InUse { database: database.clone() };
        let mut target = Target::new(connection);
        if !target.is_empty(&self.schema).await.map_err(on(&database))? {
            target.begin_to_look().await.map_err(on(&database))?;
            return match self.compare(&mut target).await {
                Ok(tables) => Ok(Copied { tables, was_there: true }),
                Err(CopyError::Lost(LostRow { table })) => {
                    Err(CopyError::NotEmpty { database: database.clone(), table })
                }
                Err(error) => Err(error),
            };
        }
        target
            .begin_to_fill(&self.schema)
            .await
            .map_err(|error| if postgres::is_held_up(&error) { in_use() } else { on(&database)(error) })?;
        if !target.is_empty(&self.schema).await.map_err(on(&database))? {
            return Err(in_use());
        }
        for table in &self.schema.tables {
            self.source.fill(table, &mut target, &database).await?;
        }
        target.check_references().await.map_err(on(&database))?;
        let tables = self.compare(&mut target).await?;
        for table in &self.schema.tables {
            let newest = self.source.newest_id(table).await?;
            target.go_on_after(table, newest).await.map_err(on(&database))?;
        }
        target.finish(&self.schema).await.map_err(on(&database))?;
        Ok(Copied { tables, was_there: false })
    }

    /// Value by value; the number of rows of each table.
    async fn compare(&mut self, target: &mut Target<'_>) -> Result<Vec<(String, u64)>, CopyError> {
        let mut tables = Vec::new();
        for table in &self.schema.tables {
            let rows = comparison::compare(self.source, target, table, &self.server.to_string()).await?;
            tables.push((table.name.clone(), rows));
        }
        Ok(tables)
    }
}

impl Source {
    async fn fill(&mut self, table: &Table, target: &mut Target<'_>, database: &str) -> Result<(), CopyError> {
        let name = self.name().to_owned();
        let mut rows = self.rows(table);
        let mut filling = target.fill(table).await.map_err(on(database))?;
        while let Some(row) = rows.try_next().await.map_err(on(&name))? {
            let row = value::of_sqlite(&row, table)?;
            filling.add(&row).await.map_err(on(database))?;
        }
        filling.finish().await.map_err(on(database))
    }
}

impl From<OpenError> for CopyError {
    fn from(error: OpenError) -> Self {
        Self::Open(error)
    }
}
