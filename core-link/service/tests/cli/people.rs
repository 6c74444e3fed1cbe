//! Commands about people who exist.

use serde_json::json;

use crate::core::{Folder, code, error_of};

#[test]
fn a_person_can_be_unlocked_reset_and_deleted() {
    let folder = Folder::new();
    let core = folder.serve();
    core.json("user add joe --email joe@example.com");

    assert_eq!(core.json("user unlock joe"), json!({ "login": "joe", "unlocked": true }));
    assert_eq!(core.json("user reset-mfa joe"), json!({ "login": "joe", "mfa_reset": true }));
    assert_eq!(core.json("user delete joe"), json!({ "login": "joe", "deleted": true, "devices": 0 }));

    assert_eq!(core.json("user list"), json!([]));
    for command in ["unlock", "reset-mfa", "delete"] {
        let refused = core.run(&format!("user {command} joe --json"));
        assert_eq!(code(&refused), 1);
        assert_eq!(error_of(&refused), "there is no person with the login joe");
    }
    let events = core.json("activity");
    let events: Vec<_> = events.as_array().unwrap().iter().map(|row| row["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["person_deleted", "mfa_reset", "person_unlocked", "person_added"]);
}

#[test]
fn answers_say_what_comes_next() {
    let folder = Folder::new();
    let core = folder.serve();
    core.json("user add joe --email joe@example.com");
    let told = |line: &str| String::from_utf8(core.run(line).stdout).unwrap();

    assert_eq!(told("user unlock joe"), "joe may try codes again.\n");
    assert!(told("user reset-mfa joe").ends_with("to set up a new one: postern-core user enroll joe\n"));
    assert!(told("user list").starts_with("ID  LOGIN  NAME  MAIL             STATE  MFA  OPENID  DEVICES\n1   joe "));
    assert_eq!(told("user delete joe"), "joe was deleted, with 0 devices.\n");
}
