//! The schema on a server: the same tables as on SQLite, and one that an older Core goes on with while it is migrated.

use std::{borrow::Cow, collections::BTreeSet};

use postern_core::store::{Address, Store};
use sqlx::{
    Connection as _, PgConnection, SqliteConnection,
    migrate::{Migration, MigrationType, Migrator},
};

use crate::{
    place::Place,
    store::{notes, opened, write},
};

/// As the first version that knew servers shipped it.
const FIRST: &str = include_str!("../../migrations/postgres/0009_start.sql");
/// What SQLite has in every table by itself.
const BY_ITSELF: &str = "rowid";

#[tokio::test]
async fn both_databases_have_the_same_tables_and_columns() {
    let place = Place::new();
    let file = place.file();
    opened(&place).await.close().await;
    Store::open(Address::File(file.clone()), place.key()).await.unwrap().close().await;
    let mut sqlite = SqliteConnection::connect(file.to_str().unwrap()).await.unwrap();
    let here: Vec<(String, String)> = sqlx::query_as(
        "SELECT t.name, c.name FROM sqlite_master AS t, pragma_table_info(t.name) AS c
         WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%'",
    )
    .fetch_all(&mut sqlite)
    .await
    .unwrap();
    let there: Vec<(String, String)> = sqlx::query_as(
        "SELECT table_name::text, column_name::text FROM information_schema.columns WHERE table_schema = 'public'",
    )
    .fetch_all(&mut connect(&place).await)
    .await
    .unwrap();
    let here: BTreeSet<_> = here.into_iter().collect();
    let there: BTreeSet<_> = there.into_iter().filter(|(_, column)| column != BY_ITSELF).collect();
    assert!(here.len() > 100, "{here:?}");
    let apart: Vec<_> = here.symmetric_difference(&there).collect();
    assert!(apart.is_empty(), "{apart:?}");
}

#[tokio::test]
async fn an_older_schema_is_migrated_while_sessions_on_it_go_on() {
    let place = Place::new();
    let first =
        Migration::new(9, Cow::Borrowed("start"), MigrationType::Simple, sqlx::SqlStr::from_static(FIRST), false);
    let mut older = connect(&place).await;
    Migrator::with_migrations(vec![first]).run(&mut older).await.unwrap();
    let person = "INSERT INTO people (login, email, first_name, last_name, is_admin, created_at)
                  VALUES ('joe', 'joe@example.org', 'Joe', 'Doe', FALSE, 1)";
    sqlx::query(person).execute(&mut older).await.unwrap();
    let look = "SELECT id, login FROM people WHERE login = 'joe'";
    // Prepared before, as a Core has its statements, and in the middle of a transaction.
    let before: (i64, String) = sqlx::query_as(look).fetch_one(&mut older).await.unwrap();
    let login = "INSERT INTO devices (person_id, name, public_key, created_at) VALUES ($1, $2, $2, 1)";
    sqlx::query(login).bind(before.0).bind("before").execute(&mut older).await.unwrap();
    let mut unfinished = older.begin().await.unwrap();
    sqlx::query(login).bind(before.0).bind("meanwhile").execute(&mut *unfinished).await.unwrap();

    let store = opened(&place).await;
    write(&store, "by the newer").await.unwrap();

    unfinished.commit().await.unwrap();
    sqlx::query(login).bind(before.0).bind("after").execute(&mut older).await.unwrap();
    let after: (i64, String) = sqlx::query_as(look).fetch_one(&mut older).await.unwrap();
    assert_eq!(before, after);
    assert_eq!(place.count("SELECT COUNT(*) FROM devices").await, 3);
    assert_eq!(notes(&store).await, ["by the newer"]);
}

#[tokio::test]
async fn a_store_that_was_open_before_works_on_beside_one_that_opens() {
    let place = Place::new();
    let older = opened(&place).await;
    write(&older, "before").await.unwrap();
    let newer = opened(&place).await;
    // What a next version may do: a column with a default, a table, an index.
    let added = "ALTER TABLE activity ADD COLUMN added BIGINT NOT NULL DEFAULT 0;
                 CREATE TABLE added (id BIGINT NOT NULL PRIMARY KEY);
                 CREATE INDEX activity_by_added ON activity (added)";
    assert!(place.try_execute(added).await);
    for (store, subject) in [(&older, "older"), (&newer, "newer"), (&older, "older again")] {
        write(store, subject).await.unwrap();
    }
    assert_eq!(notes(&older).await, ["before", "older", "newer", "older again"]);
}

async fn connect(place: &Place) -> PgConnection {
    PgConnection::connect(&place.server.as_ref().unwrap().url()).await.unwrap()
}
