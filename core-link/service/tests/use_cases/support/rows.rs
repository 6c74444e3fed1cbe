//! What a database holds, row by row, read past Core.

use sqlx::{AssertSqlSafe, SqliteConnection};

/// Each table but these, with its columns as one text.
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
