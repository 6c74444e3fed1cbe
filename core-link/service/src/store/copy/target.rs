//! The database that is filled, in one transaction that nobody looks into.

use futures::stream::BoxStream;
use sqlx::{
    AssertSqlSafe, PgConnection,
    postgres::{PgCopyIn, PgRow},
    raw_sql,
};

use super::{
    schema::{Schema, Table},
    value::Value,
};

/// Sent at a time.
const BATCH: usize = 64 * 1024;

pub(super) struct Target<'a> {
    connection: &'a mut PgConnection,
}

/// Rows of one table on their way.
pub(super) struct Filling<'a> {
    copying: PgCopyIn<&'a mut PgConnection>,
    lines: String,
}

impl<'a> Target<'a> {
    pub(super) fn new(connection: &'a mut PgConnection) -> Self {
        Self { connection }
    }

    pub(super) async fn is_empty(&mut self, schema: &Schema) -> Result<bool, sqlx::Error> {
        for table in &schema.tables {
            let any: bool =
                sqlx::query_scalar(AssertSqlSafe(format!("SELECT EXISTS (SELECT FROM \"{}\")", table.name)))
                    .fetch_one(&mut *self.connection)
                    .await?;
            if any {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// One state of everything, while Cores may be at work.
    pub(super) async fn begin_to_look(&mut self) -> Result<(), sqlx::Error> {
        self.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY".to_owned()).await
    }

    /// Tables refer to each other in circles, so references are looked at when all are full.
    pub(super) async fn begin_to_fill(&mut self, schema: &Schema) -> Result<(), sqlx::Error> {
        let tables: Vec<_> = schema.tables.iter().map(|table| format!("\"{}\"", table.name)).collect();
        let tables = tables.join(", ");
        self.run(format!("BEGIN; LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE")).await?;
        self.alter_references("DEFERRABLE INITIALLY DEFERRED").await
    }

    pub(super) async fn fill(&mut self, table: &Table) -> Result<Filling<'_>, sqlx::Error> {
        let copy = format!("COPY \"{}\" ({}) FROM STDIN", table.name, table.column_list());
        Ok(Filling { copying: self.connection.copy_in_raw(&copy).await?, lines: String::new() })
    }

    pub(super) async fn check_references(&mut self) -> Result<(), sqlx::Error> {
        self.run("SET CONSTRAINTS ALL IMMEDIATE".to_owned()).await
    }

    /// In the order of the primary key.
    pub(super) fn rows(&mut self, table: &Table) -> BoxStream<'_, Result<PgRow, sqlx::Error>> {
        let select = format!("SELECT {} FROM \"{}\" ORDER BY {}", table.column_list(), table.name, table.key_list());
        sqlx::query(AssertSqlSafe(select)).persistent(false).fetch(&mut *self.connection)
    }

    /// The next row that the database counts gets a higher number.
    pub(super) async fn go_on_after(&mut self, table: &Table, newest: i64) -> Result<(), sqlx::Error> {
        for column in table.columns.iter().filter(|column| column.is_counted) {
            let next = newest.saturating_add(1).max(1);
            self.run(format!("ALTER TABLE \"{}\" ALTER COLUMN \"{}\" RESTART WITH {next}", table.name, column.name))
                .await?;
        }
        Ok(())
    }

    /// What holds from now on.
    pub(super) async fn finish(&mut self, schema: &Schema) -> Result<(), sqlx::Error> {
        self.alter_references("NOT DEFERRABLE").await?;
        for table in &schema.tables {
            // The first questions would otherwise be answered as if every table were empty.
            self.run(format!("ANALYZE \"{}\"", table.name)).await?;
        }
        self.run("COMMIT".to_owned()).await
    }

    async fn alter_references(&mut self, to: &str) -> Result<(), sqlx::Error> {
        const REFERENCES: &str = "SELECT conrelid::regclass::text, quote_ident(conname) FROM pg_constraint
            WHERE contype = 'f' AND connamespace = current_schema()::regnamespace";
        let references: Vec<(String, String)> = sqlx::query_as(REFERENCES).fetch_all(&mut *self.connection).await?;
        for (table, name) in references {
            self.run(format!("ALTER TABLE {table} ALTER CONSTRAINT {name} {to}")).await?;
        }
        Ok(())
    }

    /// Made of names that the database has told itself, and of numbers.
    async fn run(&mut self, statements: String) -> Result<(), sqlx::Error> {
        raw_sql(AssertSqlSafe(statements)).execute(&mut *self.connection).await.map(drop)
    }
}

impl Filling<'_> {
    pub(super) async fn add(&mut self, row: &[Value]) -> Result<(), sqlx::Error> {
        for (index, value) in row.iter().enumerate() {
            if index > 0 {
                self.lines.push('\t');
            }
            value.write(&mut self.lines);
        }
        self.lines.push('\n');
        if self.lines.len() >= BATCH { self.send().await } else { Ok(()) }
    }

    pub(super) async fn finish(mut self) -> Result<(), sqlx::Error> {
        self.send().await?;
        self.copying.finish().await.map(drop)
    }

    async fn send(&mut self) -> Result<(), sqlx::Error> {
        self.copying.send(self.lines.as_bytes()).await?;
        self.lines.clear();
        Ok(())
    }
}
