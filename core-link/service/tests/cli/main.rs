//! The command line as an administrator meets it: real processes, one store.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod certificates;
mod core;
mod edges;
mod frozen;
mod hosts;
mod locations;
mod migrating;
mod openid;
mod people;
mod ports;
mod postgres;
mod stopping;

use std::{
    io::{Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream},
};

use core::{Folder, code, error_of};
use serde_json::json;

#[test]
fn a_person_can_be_added_listed_invited_and_disabled() {
    let folder = Folder::new();
    let core = folder.serve();

    let added = core.json("user add joe --email Joe@example.com --first-name Joe --last-name Doe --phone +48123456789");
    assert_eq!(added, json!({ "id": 1, "login": "joe", "email": "joe@example.com" }));
    let listed = core.json("user list");
    assert_eq!(
        listed,
        json!([{
            "id": 1, "login": "joe", "email": "joe@example.com", "first_name": "Joe", "last_name": "Doe",
            "enrolled": false, "disabled": false, "mfa": false, "openid": false, "locked": false,
            "devices": 0,
        }])
    );
    let invited = core.json("user enroll joe");
    assert_eq!(invited["login"], "joe");
    assert_eq!(invited["token"].as_str().unwrap().len(), 32);
    assert_eq!(invited["url"], "https://vpn.example.com/");
    assert!(invited["expires_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(core.json("user disable joe"), json!({ "login": "joe", "disabled": true }));
    assert_eq!(core.json("user list")[0]["disabled"], true);
    assert!(error_of(&core.run("user enroll joe --json")).contains("disabled"));
}

#[test]
fn a_location_can_be_added_and_listed() {
    let folder = Folder::new();
    let core = folder.serve();
    let key = "uBIZGnmTDUNxJTBHfR1Aw57LSWOHKTYBrlFBqBBEjWE=";

    let added = core.json(&format!(
        "location add office --endpoint vpn.example.com:51820 --address 10.10.0.1/24,fd00:10::1/64 --public-key {key} \
         --allowed-ips 10.0.0.0/8 --dns 10.10.0.1 --mfa internal"
    ));

    assert_eq!(added, json!({ "id": 1, "name": "office" }));
    let listed = &core.json("location list")[0];
    assert_eq!(listed["endpoint"], "vpn.example.com:51820");
    assert_eq!(listed["allowed_ips"], json!(["10.0.0.0/8"]));
    assert_eq!(listed["dns"], json!(["10.10.0.1"]));
    assert_eq!(listed["mfa"], "internal");
    assert_eq!(listed["public_key"], key);
    let refused = core.run("location add bad --endpoint vpn.example.com --address 10.11.0.1/24 --public-key x --json");
    assert_eq!(code(&refused), 1);
}

#[test]
fn every_admin_act_is_an_activity_row_without_secrets() {
    let folder = Folder::new();
    let core = folder.serve();
    core.json("user add joe --email joe@example.com");
    let token = core.json("user enroll joe")["token"].as_str().unwrap().to_owned();
    core.json("user disable joe");

    let rows = core.json("activity");

    let events: Vec<_> = rows.as_array().unwrap().iter().map(|row| row["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["person_disabled", "person_invited", "person_added"]);
    assert!(rows[0]["actor"].as_str().unwrap().starts_with("cli uid "));
    assert!(!rows.to_string().contains(&token));
    assert_eq!(core.json("activity --limit 1").as_array().unwrap().len(), 1);
}

#[test]
fn commands_work_on_the_same_store_while_no_core_runs() {
    let folder = Folder::new();
    let core = folder.serve();
    core.json("user add joe --email joe@example.com");
    core.terminate();

    assert_eq!(folder.json("user list")[0]["login"], "joe");
    folder.json("user add ann --email ann@example.com");

    let core = folder.serve();
    assert_eq!(core.json("user list").as_array().unwrap().len(), 2);
}

#[test]
fn a_command_without_core_and_database_says_what_to_start() {
    let folder = Folder::new();
    let refused = folder.run("user list --json");
    assert_eq!(code(&refused), 1);
    assert!(error_of(&refused).contains("postern-core serve"));
    assert!(!folder.path("core.db").exists());
}

#[test]
fn a_refusal_is_told_on_stderr_and_as_json() {
    let folder = Folder::new();
    let core = folder.serve();
    let refused = core.run("user enroll nobody --json");
    assert_eq!(code(&refused), 1);
    assert_eq!(error_of(&refused), "there is no person with the login nobody");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("there is no person with the login nobody"));
}

#[test]
fn only_a_running_core_is_healthy() {
    let folder = Folder::new();
    let core = folder.serve();
    assert_eq!(core.json("health"), json!({ "healthy": true }));
    core.terminate();

    let refused = folder.run("health --json");

    assert_eq!(code(&refused), 1, "there is a database that a command could open");
    assert!(error_of(&refused).contains("no Core listens on"), "{refused:?}");
}

#[test]
fn wrong_usage_ends_with_2() {
    let folder = Folder::new();
    for line in ["user", "user add joe", "edge add edge-1", "fly", "activity --limit 0", "location add x --mfa maybe"] {
        assert_eq!(code(&folder.run(line)), 2, "{line}");
    }
}

#[test]
fn wrong_settings_are_all_named_and_end_with_78() {
    let folder = Folder::new();
    let wrong = folder.run("serve --check-config --grace soon --metrics-listen 0.0.0.0:1 --public-url vpn");
    assert_eq!(code(&wrong), 78);
    let told = String::from_utf8_lossy(&wrong.stderr).into_owned();
    for part in ["grace", "metrics_listen", "public_url", "3 mistakes", "flag --grace"] {
        assert!(told.contains(part), "{told}");
    }
    assert_eq!(code(&folder.run("--check-config")), 0);
    assert!(!folder.path("core.db").exists(), "checking makes nothing");
}

#[test]
fn only_cores_own_user_may_use_the_socket() {
    let folder = Folder::new();
    let core = folder.serve();
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(folder.path("run/core.sock")), 0o600);
    assert_eq!(mode(folder.path("run")), 0o700);
    assert_eq!(mode(folder.path("core.db")), 0o600);
    assert_eq!(mode(folder.path("master.key")), 0o600);
    drop(core);
}

#[test]
fn the_socket_goes_with_core_and_a_dead_one_is_replaced() {
    let folder = Folder::new();
    let core = folder.serve();
    core.terminate();
    assert!(!folder.path("run/core.sock").exists());

    folder.serve().kill();
    assert!(folder.path("run/core.sock").exists());
    assert_eq!(folder.json("user list"), json!([]));
    folder.serve().json("user list");
}

#[test]
fn a_second_core_on_the_same_store_is_refused() {
    let folder = Folder::new();
    let core = folder.serve();
    let second = folder.run("serve --socket other.sock");
    assert_eq!(code(&second), 1);
    assert!(String::from_utf8_lossy(&second.stderr).contains("another postern-core uses the database"));
    core.json("user list");
}

#[test]
fn a_lost_master_key_is_named_and_never_replaced() {
    let folder = Folder::new();
    folder.serve().terminate();
    std::fs::remove_file(folder.path("master.key")).unwrap();
    let refused = folder.run("serve");
    assert_eq!(code(&refused), 1);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("bring that file back from a backup"));
    assert!(!folder.path("master.key").exists());
}

#[test]
fn an_edge_that_does_not_answer_is_refused_with_what_to_check() {
    let folder = Folder::new();
    let core = folder.serve();
    let refused = core.run("edge add 127.0.0.1:1 --json");
    assert_eq!(code(&refused), 1);
    assert!(error_of(&refused).contains("nothing answers there"), "{refused:?}");
    assert_eq!(core.json("edge list"), json!([]));
}

#[test]
fn what_is_no_command_is_refused_and_harms_nobody() {
    let folder = Folder::new();
    let core = folder.serve();
    let huge = "x".repeat(100_000);
    for line in ["", "\n", "{}\n", "null\n", "{\"Fly\":{}}\n", "[[[[[[[[\n", "{\"Activity\":{\"limit\":-1}}\n", &huge] {
        let mut socket = UnixStream::connect(folder.path("run/core.sock")).unwrap();
        // Core may hang up before it has read everything.
        socket.write_all(line.as_bytes()).ok();
        socket.shutdown(std::net::Shutdown::Write).ok();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).ok();
        assert!(
            answer.is_empty() || answer.starts_with("{\"Error\":\"this command cannot be read"),
            "{line}: {answer}"
        );
    }
    assert_eq!(core.json("user list"), json!([]));
}

#[test]
fn many_commands_at_once_are_all_answered() {
    let folder = Folder::new();
    let _core = folder.serve();
    let sockets: Vec<_> = (0..100).map(|_| UnixStream::connect(folder.path("run/core.sock")).unwrap()).collect();
    for mut socket in &sockets {
        socket.write_all(b"{\"User\":\"List\"}\n").unwrap();
    }
    for mut socket in sockets {
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "{\"Answer\":{\"Users\":[]}}\n");
    }
}

#[test]
fn a_command_is_refused_when_the_store_stays_in_use() {
    let folder = Folder::new();
    folder.serve().terminate();
    let _lock = postern_core::control::StoreLock::take(&folder.path("core.db")).unwrap();
    let refused = folder.run("user list --json");
    assert_eq!(code(&refused), 1);
    assert!(error_of(&refused).contains("another postern-core uses the database"));
}

#[test]
fn a_closed_output_is_no_failure() {
    let folder = Folder::new();
    let core = folder.serve();
    assert!(core.run_with_closed_stdout("user list"));
}

#[test]
fn metrics_are_served_on_loopback() {
    let folder = Folder::new();
    let core = folder.serve_with_metrics();
    let text = core.metrics();
    assert!(text.contains("postern_core_edges_connected 0"), "{text}");
}
