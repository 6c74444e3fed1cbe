//! What a database holds, row by row, read and changed past Core.

use std::{collections::BTreeMap, fs};

use futures::TryStreamExt as _;
use sqlx::{
    AssertSqlSafe, Connection as _, FromRow, PgConnection, Row as _, SqliteConnection, postgres::PgRow,
    sqlite::SqliteRow,
};

use crate::{
    place::{Database, Place},
    support::Core,
};

/// The tables of Core itself on a server.
const TABLES: &str = "SELECT table_name::text FROM information_schema.tables
    WHERE table_schema = 'public' AND table_name NOT LIKE '\\_%' ORDER BY table_name";

/// Sees whether anything was written since it last looked.
pub(crate) enum Watcher {
    Sqlite(SqliteConnection),
    Postgres(String),
}

impl Watcher {
    /// Differs from the last one if somebody has changed a row.
    pub(crate) async fn look(&mut self) -> String {
        match self {
            Self::Sqlite(reader) => {
                let version: i64 = sqlx::query_scalar("PRAGMA data_version").fetch_one(reader).await.unwrap();
                version.to_string()
            }
            // Where each row lies, and who put it there: no change leaves both.
            Self::Postgres(url) => {
                let mut versions = String::new();
                for table in tables_of(&mut server(url).await).await {
                    let rows = format!("SELECT '{table}' || t.ctid || t.xmin FROM {table} t ORDER BY 1");
                    versions += &scalars(&mut server(url).await, rows).await.concat();
                }
                versions
            }
        }
    }
}

impl Place {
    /// One number that the database holds.
    pub(crate) async fn count(&self, query: &'static str) -> i64 {
        if let Some(database) = &self.server {
            let row = sqlx::raw_sql(query).fetch_one(&mut server(&database.url()).await).await.unwrap();
            // Numbers of all sizes and truths come as text.
            return match row.try_get_raw(0).unwrap().as_str().unwrap() {
                "t" => 1,
                "f" => 0,
                number => number.parse().unwrap(),
            };
        }
        sqlx::query_scalar(query).fetch_one(&mut self.reader().await).await.unwrap()
    }

    pub(crate) async fn try_execute(&self, statement: &'static str) -> bool {
        if let Some(database) = &self.server {
            let statement = statement.replace("randomblob(16)", "uuid_send(gen_random_uuid())");
            return database.execute(&statement).is_ok();
        }
        let path = format!("sqlite://{}", self.file().display());
        let mut writer = SqliteConnection::connect(&path).await.unwrap();
        sqlx::query("PRAGMA foreign_keys = ON").execute(&mut writer).await.unwrap();
        sqlx::query(statement).execute(&mut writer).await.is_ok()
    }

    async fn reader(&self) -> SqliteConnection {
        SqliteConnection::connect(&format!("sqlite://{}?mode=ro", self.file().display())).await.unwrap()
    }
}

impl Core {
    pub(crate) async fn count(&self, query: &'static str) -> i64 {
        self.place.count(query).await
    }

    pub(crate) async fn execute(&self, statement: &'static str) {
        assert!(self.place.try_execute(statement).await, "{statement}");
    }

    pub(crate) async fn rows<T>(&self, query: &'static str) -> Vec<T>
    where
        T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        match self.server() {
            Some(database) => sqlx::query_as(query).fetch_all(&mut server(&database.url()).await).await.unwrap(),
            None => sqlx::query_as(query).fetch_all(&mut self.place.reader().await).await.unwrap(),
        }
    }

    /// Every row of each table but these.
    pub(crate) async fn contents(&self, without: &[&str]) -> BTreeMap<String, Vec<String>> {
        let mut contents = BTreeMap::new();
        if let Some(database) = self.server() {
            let mut reader = server(&database.url()).await;
            for table in tables_of(&mut reader).await {
                let rows = format!("SELECT '{table} ' || t::text FROM {table} t ORDER BY 1");
                contents.insert(table, scalars(&mut reader, rows).await);
            }
        } else {
            let mut reader = self.place.reader().await;
            for (table, columns) in tables(&mut reader, &[]).await {
                let rows = rows(&mut reader, &[(table.clone(), columns)]).await;
                contents.insert(table, rows);
            }
        }
        contents.retain(|table, _| !without.contains(&table.as_str()));
        contents
    }

    /// What whoever steals the database has: the files of SQLite, or what a server hands out, byte for byte.
    pub(crate) async fn at_rest(&self) -> Vec<u8> {
        match self.server() {
            Some(database) => copied(database).await,
            None => ["core.db", "core.db-wal"].map(|name| fs::read(self.folder().join(name)).unwrap()).concat(),
        }
    }

    pub(crate) async fn watcher(&self) -> Watcher {
        match self.server() {
            Some(database) => Watcher::Postgres(database.url()),
            None => Watcher::Sqlite(self.place.reader().await),
        }
    }
}

/// Each table of SQLite but these, with its columns as one text.
pub(crate) async fn tables(database: &mut SqliteConnection, without: &[&str]) -> Vec<(String, String)> {
    let tables: Vec<(String, String)> = sqlx::query_as(
        "SELECT t.name, GROUP_CONCAT('quote(' || c.name || ')', '||'' ''||' ORDER BY c.cid)
         FROM sqlite_master AS t, pragma_table_info(t.name) AS c
         WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' AND t.name NOT LIKE '\\_%' ESCAPE '\\' GROUP BY t.name",
    )
    .fetch_all(database)
    .await
    .unwrap();
    tables.into_iter().filter(|(table, _)| !without.contains(&table.as_str())).collect()
}

pub(crate) async fn rows(database: &mut SqliteConnection, tables: &[(String, String)]) -> Vec<String> {
    let mut found = Vec::new();
    for (table, columns) in tables {
        let rows = AssertSqlSafe(format!("SELECT '{table} ' || {columns} FROM {table} ORDER BY 1"));
        found.extend(sqlx::query_scalar::<_, String>(rows).fetch_all(&mut *database).await.unwrap());
    }
    found
}

async fn server(url: &str) -> PgConnection {
    PgConnection::connect(url).await.unwrap()
}

async fn tables_of(reader: &mut PgConnection) -> Vec<String> {
    sqlx::query_scalar(TABLES).fetch_all(reader).await.unwrap()
}

async fn scalars(reader: &mut PgConnection, query: String) -> Vec<String> {
    sqlx::query_scalar(AssertSqlSafe(query)).fetch_all(reader).await.unwrap()
}

async fn copied(database: &Database) -> Vec<u8> {
    let mut reader = server(&database.url()).await;
    let mut bytes = Vec::new();
    for table in tables_of(&mut reader).await {
        let copy = format!("COPY {table} TO STDOUT (FORMAT binary)");
        let mut parts = reader.copy_out_raw(&copy).await.unwrap();
        while let Some(part) = parts.try_next().await.unwrap() {
            bytes.extend_from_slice(&part);
        }
    }
    bytes
}
