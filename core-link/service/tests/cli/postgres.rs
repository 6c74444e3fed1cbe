//! A Core whose database is one of a real Postgres, and several that share it.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Output};

use postern_core_link::testing::free_address;
use serde_json::json;
use tempfile::TempDir;

pub(crate) use self::server::Database;
use self::server::Postgres;
use crate::core::{Folder, code, error_of};

#[path = "../../../../tests/harness/postgres.rs"]
#[allow(dead_code, reason = "others use the rest")]
#[allow(unreachable_pub, reason = "it belongs to the harness of whole-system tests")]
pub(crate) mod server;

/// A Core of its own on this database.
pub(crate) fn beside(database: &Database) -> Folder {
    Folder::new().with("DATABASE", database.url())
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What stands in the folder of the master key, but for what every Core makes.
fn keys(folder: &Folder) -> Vec<String> {
    let names = fs::read_dir(folder.path(".")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.contains("key")).collect()
}

/// A server that wants passwords. Its only user is `postern`, with the password `hunter2`.
fn strict_server() -> (TempDir, Postgres) {
    let folder = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir().unwrap();
    let server = Postgres::start(&folder.path().join("server"), free_address().port()).unwrap();
    server.execute("postgres", "ALTER USER postern PASSWORD 'hunter2'").unwrap();
    server.execute("postgres", "CREATE DATABASE postern").unwrap();
    let rules = folder.path().join("server/data/pg_hba.conf");
    fs::write(&rules, "host postern postern 127.0.0.1/32 scram-sha-256\nhost postgres postern 127.0.0.1/32 trust\n")
        .unwrap();
    server.execute("postgres", "SELECT pg_reload_conf()").unwrap();
    (folder, server)
}

fn write_private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn commands_work_on_the_same_database_beside_any_core() {
    let database = Database::create();
    let (here, there) = (beside(&database), beside(&database));
    let core = here.serve();
    core.json("user add joe --email joe@example.com");
    fs::copy(here.path("master.key"), there.path("master.key")).unwrap();

    assert_eq!(there.json("user list")[0]["login"], "joe");
    there.json("user add ann --email ann@example.com");
    assert_eq!(core.json("user list").as_array().unwrap().len(), 2);
    let other = there.serve();
    assert_eq!(other.json("user list"), core.json("user list"));
    core.terminate();
    assert_eq!(here.json("user list"), other.json("user list"));
    assert!(!here.path("core.db").exists() && !here.path("core.db.lock").exists());
}

#[test]
fn a_second_core_needs_the_key_file_of_the_first() {
    let database = Database::create();
    let (first, second) = (beside(&database), beside(&database));
    let core = first.serve();
    let mode = fs::metadata(first.path("master.key")).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode, keys(&first)), (0o600, vec!["master.key".to_owned()]));

    let refused = second.run("serve");
    assert_eq!(code(&refused), 1);
    assert!(told(&refused).contains("from another Core"), "{refused:?}");
    assert!(keys(&second).is_empty());

    let another = Database::create();
    let other = beside(&another);
    other.serve().terminate();
    fs::copy(other.path("master.key"), second.path("master.key")).unwrap();
    let refused = second.run("serve");
    assert_eq!(code(&refused), 1);
    assert!(told(&refused).contains("belongs to another master key"), "{refused:?}");
    assert!(second.path("master.key").exists(), "a key that somebody put there stays");

    fs::copy(first.path("master.key"), second.path("master.key")).unwrap();
    second.serve().json("user list");
    drop(core);
}

#[test]
fn of_two_first_starts_at_once_one_key_is_taken_and_no_other_left() {
    for _ in 0..5 {
        let database = Database::create();
        let folders = [beside(&database), beside(&database)];
        let mut cores = folders.each_ref().map(Folder::start);
        let ended = cores.each_mut().map(|core| core.listens_or_ends());
        let refused: Vec<_> = ended.iter().filter_map(|ended| ended.as_ref().err()).collect();
        assert_eq!(refused.len(), 1, "{ended:?}");
        assert!(refused[0].contains("from another Core"), "{refused:?}");
        for (folder, ended) in folders.iter().zip(&ended) {
            let expected: &[&str] = if ended.is_ok() { &["master.key"] } else { &[] };
            assert_eq!(keys(folder), expected);
        }
    }
}

#[test]
fn two_first_starts_at_once_that_share_a_key_file_both_succeed() {
    for is_there in [false, true] {
        let database = Database::create();
        let keys_folder = tempfile::tempdir().unwrap();
        let key = keys_folder.path().join("master.key");
        if is_there {
            postern_core::sealing::MasterKey::create(&key).unwrap();
        }
        let folders = [(); 2].map(|()| beside(&database).with("MASTER_KEY_FILE", key.to_str().unwrap()));
        let mut cores = folders.each_ref().map(Folder::start);
        for core in &mut cores {
            assert_eq!(core.listens_or_ends(), Ok(()));
        }
        assert_eq!(fs::read_dir(keys_folder.path()).unwrap().count(), 1);
        assert_eq!(database.execute("SELECT COUNT(*) FROM instance, authority").unwrap().trim(), "1");
    }
}

#[test]
fn a_key_that_was_taken_before_a_crash_gets_its_name_at_the_next_start() {
    let database = Database::create();
    let folder = beside(&database);
    folder.serve().kill();
    fs::rename(folder.path("master.key"), folder.path("master.key.new-1")).unwrap();
    folder.serve().json("user list");
    assert_eq!(keys(&folder), ["master.key"]);
}

#[test]
fn a_key_that_was_not_taken_before_a_crash_is_thrown_away() {
    let (database, other) = (Database::create(), Database::create());
    let (folder, elsewhere) = (beside(&database), beside(&other));
    folder.serve().terminate();
    elsewhere.serve().terminate();
    fs::remove_file(folder.path("master.key")).unwrap();
    fs::copy(elsewhere.path("master.key"), folder.path("master.key.new-1")).unwrap();
    assert!(told(&folder.run("serve")).contains("from another Core"));
    assert!(keys(&folder).is_empty());
}

#[test]
fn a_command_on_a_database_that_nobody_used_says_what_to_start() {
    let database = Database::create();
    let folder = beside(&database);
    let refused = folder.run("user list --json");
    assert_eq!(code(&refused), 1);
    assert!(error_of(&refused).contains("postern-core serve"), "{refused:?}");
    assert!(keys(&folder).is_empty());
    assert_eq!(database.execute("SELECT COUNT(*) FROM pg_tables WHERE schemaname = 'public'").unwrap().trim(), "0");
}

#[test]
fn what_keeps_core_from_its_database_is_one_sentence() {
    let database = Database::create();
    for (url, sentence) in [
        (format!("{}_missing", database.url()), "there is no database postgres://127.0.0.1"),
        (format!("{}?sslmode=require", database.url()), "cannot connect to the database postgres://127.0.0.1"),
    ] {
        let folder = Folder::new().with("DATABASE", url);
        let refused = folder.run("serve");
        assert_eq!(code(&refused), 1);
        let told = told(&refused);
        assert!(told.lines().count() == 1 && told.contains(sentence), "{told}");
        assert!(keys(&folder).is_empty());
    }
    let folder = beside(&database);
    folder.serve().terminate();
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (9999, 'from the future', TRUE, '', 0)";
    database.execute(newer).unwrap();
    for line in ["serve", "user list"] {
        let told = told(&folder.run(line));
        assert!(told.lines().count() == 1 && told.contains("a newer version wrote the database"), "{told}");
    }
}

#[test]
fn a_password_comes_from_a_file_and_is_never_told() {
    let (_keep, server) = strict_server();
    let url = server.url("postern");
    let with_password = url.replace("postern@", "postern:hunter3@");
    let folder =
        Folder::new().with("DATABASE", &url).with("DATABASE_PASSWORD_FILE", "password").with("LOG_LEVEL", "trace");
    write_private(&folder.path("password"), "hunter2\n");
    let core = folder.serve();
    assert_eq!(core.json("user list"), json!([]));
    assert!(!core.end().contains("hunter2"));

    write_private(&folder.path("password"), "hunter3\n");
    let inline = Folder::new().with("DATABASE", &with_password).with("LOG_LEVEL", "trace");
    for (folder, line) in [(&folder, "serve"), (&folder, "user list"), (&inline, "serve"), (&inline, "user list")] {
        let refused = folder.run(line);
        assert_eq!(code(&refused), 1);
        let told = told(&refused);
        assert!(told.contains("refuses the user or the password"), "{told}");
        assert!(!told.contains("hunter"), "{told}");
    }
    fs::set_permissions(folder.path("password"), fs::Permissions::from_mode(0o644)).unwrap();
    let mistyped = Folder::new().with("DATABASE", with_password.replace("postgres:", "postgre:"));
    for folder in [&folder, &mistyped] {
        for level in ["error", "trace"] {
            for line in ["serve", "--check-config", "user list --json"] {
                let refused = folder.run(&format!("{line} --log-level {level}"));
                assert_eq!(code(&refused), 78);
                assert!(!format!("{refused:?}").contains("hunter"), "{refused:?}");
            }
        }
    }
    server.stop().unwrap();
}

#[test]
fn an_address_that_stands_in_the_wrong_place_is_not_shown() {
    let folder = Folder::new();
    for line in [
        "serve postgres://core:hunter2@db/postern",
        "postgres://core:hunter2@db/postern",
        "serve --databse postgres://core:hunter2@db/postern",
        "serve --databse=postgres://core:hunter2@db/postern",
        "edge add postgres://core:hunter2@db/postern",
    ] {
        let refused = folder.run(line);
        assert_eq!(code(&refused), 2, "{line}");
        assert!(!format!("{refused:?}").contains("hunter2") && told(&refused).contains("--help"), "{refused:?}");
    }
}

#[test]
fn a_server_that_is_not_up_yet_is_waited_for_and_told_of_once() {
    let (_keep, server) = strict_server();
    server.stop().unwrap();
    let folder = Folder::new().with("DATABASE", server.url("postern").replace("postern@", "postern:hunter2@"));
    let mut core = folder.start();
    core.logs("the database server does not answer yet, waiting for it");
    server.run_again().unwrap();
    core.listens();
    let told = core.end();
    assert!(!told.contains("does not answer yet") && told.contains("core is ready"), "{told}");
    server.stop().unwrap();
}
