//! What both databases hold, read past Core and past the copy.

use std::{collections::BTreeMap, path::Path};

use postern_core::{
    sealing::MasterKey,
    secret::Secret,
    store::{Address, ServerAddress, Store},
};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};

use crate::support::rows;

pub(super) async fn sqlite(file: &Path) -> SqliteConnection {
    SqliteConnection::connect(&format!("sqlite://{}?mode=ro", file.display())).await.unwrap()
}

pub(super) async fn change(file: &Path, statements: &'static str) {
    change_text(file, statements.to_owned()).await;
}

pub(super) async fn change_text(file: &Path, statements: String) {
    let mut connection = SqliteConnection::connect(&format!("sqlite://{}", file.display())).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// The tables of this version, and nothing in them.
pub(super) async fn make_schema(url: &str) {
    let server = ServerAddress::parse(Secret::new(url.to_owned())).unwrap();
    Store::open(Address::Server(server), MasterKey::random()).await.unwrap().close().await;
    let mut database = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql("DELETE FROM master_key_check; DELETE FROM leases").execute(&mut database).await.unwrap();
}

/// Each row as one text, its columns by their names.
pub(super) async fn rows_on_sqlite(file: &Path) -> Vec<String> {
    let mut database = sqlite(file).await;
    let tables: Vec<(String, String)> = sqlx::query_as(
        "SELECT t.name, GROUP_CONCAT('quote(' || c.name || ')', '||'' ''||' ORDER BY c.name)
         FROM sqlite_schema AS t, pragma_table_info(t.name) AS c
         WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' AND t.name <> '_sqlx_migrations' GROUP BY t.name",
    )
    .fetch_all(&mut database)
    .await
    .unwrap();
    rows::rows(&mut database, &tables).await
}

/// The same; the column that only Postgres has is left out.
pub(super) async fn rows_on_postgres(url: &str) -> Vec<String> {
    let mut database = PgConnection::connect(url).await.unwrap();
    let tables: Vec<(String, String)> = sqlx::query_as(
        "SELECT table_name::text, string_agg('COALESCE(' || CASE data_type
                WHEN 'bigint' THEN column_name || '::text'
                WHEN 'boolean' THEN column_name || '::int::text'
                WHEN 'bytea' THEN '''X'''''' || upper(encode(' || column_name || ', ''hex'')) || '''''''''
                ELSE ''''''''' || replace(' || column_name || ', '''''''', '''''''''''') || '''''''''
            END || ', ''NULL'')', ' || '' '' || ' ORDER BY column_name COLLATE \"C\")
         FROM information_schema.columns
         WHERE table_schema = 'public' AND table_name <> '_sqlx_migrations' AND column_name <> 'rowid'
         GROUP BY table_name ORDER BY table_name COLLATE \"C\"",
    )
    .fetch_all(&mut database)
    .await
    .unwrap();
    let mut found = Vec::new();
    for (table, columns) in tables {
        let rows = format!("SELECT '{table} ' || ({columns}) COLLATE \"C\" FROM {table} ORDER BY 1");
        found.extend(sqlx::query_scalar::<_, String>(AssertSqlSafe(rows)).fetch_all(&mut database).await.unwrap());
    }
    found
}

/// The highest number of each table that SQLite counts.
pub(super) async fn newest_ids(file: &Path) -> BTreeMap<String, i64> {
    let counted = sqlx::query_as("SELECT name, seq FROM sqlite_sequence").fetch_all(&mut sqlite(file).await).await;
    counted.unwrap().into_iter().collect()
}

/// The number that the next row of each table gets that Postgres counts.
pub(super) async fn next_ids(url: &str) -> BTreeMap<String, i64> {
    let mut database = PgConnection::connect(url).await.unwrap();
    let counted: Vec<(String, String)> = sqlx::query_as(
        "SELECT table_name::text, pg_get_serial_sequence(table_name, column_name) FROM information_schema.columns
         WHERE table_schema = 'public' AND is_identity = 'YES'",
    )
    .fetch_all(&mut database)
    .await
    .unwrap();
    let mut next = BTreeMap::new();
    for (table, sequence) in counted {
        let number = sqlx::query_scalar(AssertSqlSafe(format!("SELECT nextval('{sequence}')")));
        next.insert(table, number.fetch_one(&mut database).await.unwrap());
    }
    next
}

/// A transaction that has done this and goes on until it is dropped.
pub(super) async fn hold(url: &str, statement: &'static str) -> PgConnection {
    let mut database = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql("BEGIN").execute(&mut database).await.unwrap();
    sqlx::raw_sql(statement).execute(&mut database).await.unwrap();
    database
}
