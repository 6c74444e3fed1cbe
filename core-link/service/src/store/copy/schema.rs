//! Which tables and columns there are, as each database tells itself.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{PgConnection, SqliteConnection};

/// Every SQLite table has this column, though it is not listed; on Postgres one table has it for real.
const ROWID: &str = "rowid";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Schema {
    pub(super) tables: Vec<Table>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
    /// Columns of the primary key, in its order.
    pub(super) key: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// The database counts it up by itself.
    pub(super) is_counted: bool,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    /// On Postgres only; SQLite keeps 0 or 1.
    Flag,
    Text,
    Bytes,
    /// Nothing that is known here, and so a difference.
    Other,
}

impl Schema {
    /// What stands in one of both only, in words; `self` is the one on SQLite.
    pub(super) fn difference(&self, postgres: &Self) -> Option<String> {
        let (here, there) = (self.columns(), postgres.columns());
        let without_rowids = |columns: &BTreeMap<(String, String), Kind>| -> BTreeSet<(String, String)> {
            columns.keys().filter(|(_, column)| column != ROWID).cloned().collect()
        };
        if let Some((table, column)) = without_rowids(&here).symmetric_difference(&without_rowids(&there)).next() {
            return Some(format!("only one of both has {table}.{column}"));
        }
        let kinds = there.iter().find(|(column, kind)| match here.get(*column) {
            Some(other) => !other.is_kept_as(**kind),
            None => **kind != Kind::Integer,
        });
        if let Some(((table, column), _)) = kinds {
            return Some(format!("{table}.{column} is of another type"));
        }
        let keys = |schema: &Self| -> BTreeMap<String, Vec<String>> {
            schema.tables.iter().map(|table| (table.name.clone(), table.key.clone())).collect()
        };
        let (here, there) = (keys(self), keys(postgres));
        let key = here.iter().find(|(table, key)| there.get(*table) != Some(*key) || key.is_empty());
        key.map(|(table, _)| format!("{table} has another primary key"))
    }

    fn columns(&self) -> BTreeMap<(String, String), Kind> {
        let of = |table: &Table| {
            let name = table.name.clone();
            let columns = table.columns.clone().into_iter();
            columns.map(move |column| ((name.clone(), column.name), column.kind)).collect::<Vec<_>>()
        };
        self.tables.iter().flat_map(of).collect()
    }

    fn of(columns: impl Iterator<Item = (String, Column, Option<i64>)>) -> Self {
        let mut tables: Vec<(Table, BTreeMap<i64, String>)> = Vec::new();
        for (name, column, position) in columns {
            if tables.last().is_none_or(|(table, _)| table.name != name) {
                tables.push((Table { name, columns: Vec::new(), key: Vec::new() }, BTreeMap::new()));
            }
            let Some((table, key)) = tables.last_mut() else { continue };
            key.extend(position.map(|position| (position, column.name.clone())));
            table.columns.push(column);
        }
        let with_key =
            |(table, key): (Table, BTreeMap<i64, String>)| Table { key: key.into_values().collect(), ..table };
        Self { tables: tables.into_iter().map(with_key).collect() }
    }
}

impl Kind {
    /// SQLite has no flags of its own.
    fn is_kept_as(self, postgres: Self) -> bool {
        match (self, postgres) {
            (Self::Integer, Self::Integer | Self::Flag) | (Self::Text, Self::Text) | (Self::Bytes, Self::Bytes) => true,
            (Self::Integer | Self::Flag | Self::Text | Self::Bytes | Self::Other, _) => false,
        }
    }
}

impl Table {
    /// Names in quotes, as both databases take them.
    pub(super) fn column_list(&self) -> String {
        let names: Vec<_> = self.columns.iter().map(|column| format!("\"{}\"", column.name)).collect();
        names.join(", ")
    }

    pub(super) fn key_list(&self) -> String {
        let names: Vec<_> = self.key.iter().map(|name| format!("\"{name}\"")).collect();
        names.join(", ")
    }
}

pub(super) async fn of_sqlite(connection: &mut SqliteConnection) -> Result<Schema, sqlx::Error> {
    const COLUMNS: &str = "SELECT m.name, c.name, c.type, CASE c.pk WHEN 0 THEN NULL ELSE c.pk END
        FROM sqlite_schema m, pragma_table_info(m.name) c
        WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND m.name <> '_sqlx_migrations'
        ORDER BY m.name, c.cid";
    let rows: Vec<(String, String, String, Option<i64>)> = sqlx::query_as(COLUMNS).fetch_all(connection).await?;
    let columns = rows.into_iter().map(|(table, name, declared, key)| {
        let kind = match declared.as_str() {
            "INTEGER" => Kind::Integer,
            "TEXT" => Kind::Text,
            "BLOB" => Kind::Bytes,
            _ => Kind::Other,
        };
        (table, Column { name, kind, is_counted: false }, key)
    });
    Ok(Schema::of(columns))
}

pub(super) async fn of_postgres(connection: &mut PgConnection) -> Result<Schema, sqlx::Error> {
    const COLUMNS: &str = "SELECT c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod),
            a.attidentity <> '', array_position(i.indkey::int2[], a.attnum)::bigint
        FROM pg_class c
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
        WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
            AND c.relname <> '_sqlx_migrations'
        ORDER BY c.relname COLLATE \"C\", a.attnum";
    let rows: Vec<(String, String, String, bool, Option<i64>)> = sqlx::query_as(COLUMNS).fetch_all(connection).await?;
    let columns = rows.into_iter().map(|(table, name, kind, is_counted, key)| {
        let kind = match kind.as_str() {
            "bigint" => Kind::Integer,
            "boolean" => Kind::Flag,
            "text" => Kind::Text,
            "bytea" => Kind::Bytes,
            _ => Kind::Other,
        };
        (table, Column { name, kind, is_counted }, key)
    });
    Ok(Schema::of(columns))
}
