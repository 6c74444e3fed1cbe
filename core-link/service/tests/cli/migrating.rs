//! `migrate-to-postgres` as an administrator runs it.

use std::fs;

use serde_json::json;

use crate::{
    core::{Folder, code, error_of, until},
    postgres::server::Database,
};

/// A Core that was used on SQLite, and has ended.
fn used_folder() -> Folder {
    let folder = Folder::new();
    let core = folder.serve();
    core.json("user add joe --email joe@example.com");
    core.json("user enroll joe");
    core.terminate();
    folder
}

fn migrate(database: &Database) -> String {
    format!("migrate-to-postgres --to {}", database.url())
}

#[test]
fn a_store_moves_to_postgres_and_a_second_run_says_so() {
    let (folder, database) = (used_folder(), Database::create());
    let moved = folder.json(&migrate(&database));
    assert_eq!((&moved["was_there"], &moved["tables"]["people"]), (&json!(false), &json!(1)));
    assert!(!moved["to"].as_str().unwrap().contains('@'), "{moved}");
    let text = String::from_utf8(folder.run(&migrate(&database)).stdout).unwrap();
    assert!(text.contains("people") && text.contains("nothing was changed"), "{text}");
    assert_eq!(folder.json(&migrate(&database))["was_there"], true);

    let there = Folder::new().with("DATABASE", database.url());
    fs::copy(folder.path("master.key"), there.path("master.key")).unwrap();
    let core = there.serve();
    assert_eq!(core.json("user list"), folder.json("user list"));
    assert_eq!(core.json("activity"), folder.json("activity"));
    core.json("user add ann --email ann@example.com");
    let refused = folder.run(&format!("{} --json", migrate(&database)));
    assert_eq!(code(&refused), 1);
    assert!(error_of(&refused).contains("holds something else already"), "{refused:?}");
    assert_eq!(core.json("user list").as_array().unwrap().len(), 2);
}

#[test]
fn a_store_that_a_core_uses_is_not_moved() {
    let (folder, database) = (used_folder(), Database::create());
    let core = folder.serve();
    let refused = folder.run(&format!("{} --json", migrate(&database)));
    assert_eq!(code(&refused), 1);
    assert!(error_of(&refused).contains("another postern-core uses the database"), "{refused:?}");
    core.kill();
    assert_eq!(folder.json(&migrate(&database))["tables"]["people"], 1, "what a killed Core left is whole");
}

#[test]
fn a_move_that_is_killed_leaves_nothing_and_can_be_run_again() {
    let (folder, database) = (used_folder(), Database::create());
    let first = Folder::new().with("DATABASE", database.url());
    first.serve().terminate();
    let tables = "SELECT string_agg(format('%I', tablename), ', ') FROM pg_tables
        WHERE schemaname = 'public' AND tablename NOT IN ('_sqlx_migrations', 'activity')";
    let tables = database.execute(tables).unwrap();
    // The schema stays, empty; and the last table takes for ever.
    database
        .execute(&format!(
            "DROP TRIGGER activity_is_never_changed ON activity;
             TRUNCATE activity, {};
             CREATE TRIGGER activity_is_never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON activity
                EXECUTE FUNCTION activity_only_grows();
             CREATE FUNCTION stay() RETURNS TRIGGER LANGUAGE plpgsql AS $$
                BEGIN PERFORM pg_sleep(3600); RETURN NEW; END $$;
             CREATE TRIGGER stay BEFORE INSERT ON session_keys FOR EACH ROW EXECUTE FUNCTION stay()",
            tables.trim()
        ))
        .unwrap();
    let moving = folder.spawn_line(&migrate(&database));
    let sleeping = "SELECT COUNT(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event = 'PgSleep' AND query LIKE 'COPY%'";
    until("rows of the last table are sent", || database.execute(sleeping).unwrap().trim() == "1");
    moving.kill();
    until("its session ends", || database.execute(sleeping).unwrap().trim() == "0");
    assert_eq!(database.execute("SELECT COUNT(*) FROM people").unwrap().trim(), "0");

    database.execute("DROP TRIGGER stay ON session_keys").unwrap();
    let moved = folder.json(&migrate(&database));
    assert_eq!((&moved["was_there"], &moved["tables"]["people"]), (&json!(false), &json!(1)));
}

#[test]
fn what_cannot_be_moved_or_where_to_is_one_sentence_without_a_password() {
    let (folder, database) = (used_folder(), Database::create());
    let url = database.url();
    let with_password = url.replace("postern@", "postern:hunter2@");
    fs::write(folder.path("password"), "hunter2").unwrap();
    let empty = Folder::new();
    let on_server = Folder::new().with("DATABASE", &url);
    for (folder, line, sentence) in [
        (
            &folder,
            format!("--to {}", with_password.replace("postgres:", "postgre:")),
            "--to, not shown as it may hold a password",
        ),
        (&folder, format!("--to {with_password}_missing"), "there is no database postgres://127.0.0.1"),
        (&folder, format!("--to {with_password} --to-password-file password"), "one password too many"),
        (&folder, format!("--to {url} --to-password-file password"), "make it 600"),
        (&folder, format!("--to {url} --to-password-file hunter2"), "a file that can be read"),
        (&empty, format!("--to {url}"), "there is no database core.db"),
        (&on_server, format!("--to {url}"), "database names a server"),
    ] {
        let refused = folder.run(&format!("migrate-to-postgres {line}"));
        let told = String::from_utf8_lossy(&refused.stderr);
        assert!(code(&refused) == 1 && told.contains(sentence), "{line}: {refused:?}");
        assert!(told.lines().count() == 1 && !format!("{refused:?}").contains("hunter2"), "{refused:?}");
    }
    assert!(!empty.path("core.db").exists());
    assert_eq!(database.execute("SELECT COUNT(*) FROM pg_tables WHERE schemaname = 'public'").unwrap().trim(), "0");
}
