//! Hosts, and tokens that are taken back, on the command line.

use serde_json::json;

use crate::core::{Core, Folder, code, error_of};

const KEY: &str = "uBIZGnmTDUNxJTBHfR1Aw57LSWOHKTYBrlFBqBBEjWE=";
const OTHER_KEY: &str = "FMY/cM6bkgAUd/DyMbTDNoGRKAfeopLXNGOIOtcIFEE=";

#[test]
fn a_host_is_added_with_a_token_listed_and_removed() {
    let folder = Folder::new();
    let core = folder.serve();
    add_location(&core, "servers", "disabled");

    let added = core.json("device add web-1 --location servers");

    assert_eq!((&added["id"], &added["name"], &added["location"]), (&json!(1), &json!("web-1"), &json!("servers")));
    assert_eq!(added["token"].as_str().unwrap().len(), 32);
    assert_eq!(added["url"], "https://vpn.example.com/");
    assert!(added["expires_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(added.get("config"), None);
    let listed = &core.json("device list")[0];
    assert_eq!(
        (&listed["name"], &listed["user"], &listed["public_key"]),
        (&json!("web-1"), &json!(null), &json!(null))
    );
    assert_eq!(listed["addresses"], json!(["10.10.0.2"]));
    let table = String::from_utf8(core.run("device list").stdout).unwrap();
    assert!(table.contains("1   web-1  -     -           10.10.0.2"), "{table}");
    let told = String::from_utf8(core.run("device add web-1 --location servers").stdout).unwrap();
    assert!(told.contains("dg enroll -u https://vpn.example.com/ -t "), "{told}");

    assert_eq!(core.json("device remove 1"), json!({ "id": 1, "removed": true }));
    assert_eq!(core.json("device list"), json!([]));
}

#[test]
fn what_a_device_told_about_itself_is_shown() {
    let folder = Folder::new();
    let core = folder.serve();
    add_location(&core, "servers", "disabled");
    core.json("device add web-1 --location servers");

    assert_eq!(core.json("device posture 1"), json!({ "device": 1, "reported_at": null, "report": null }));
    let told = String::from_utf8(core.run("device posture 1").stdout).unwrap();
    assert!(told.starts_with("Device 1 has not reported yet."), "{told}");
    let unknown = core.run("device posture 9 --json");
    assert_eq!((code(&unknown), error_of(&unknown)), (1, "there is no device 9".to_owned()));
}

#[test]
fn a_host_with_a_key_is_complete_and_its_configuration_is_printed() {
    let folder = Folder::new();
    let core = folder.serve();
    add_location(&core, "servers", "disabled");

    let added = core.json(&format!("device add web-1 --location servers --public-key {OTHER_KEY}"));

    assert_eq!((&added["token"], &added["expires_at"]), (&json!(null), &json!(null)));
    let config = added["config"].as_str().unwrap();
    assert!(config.starts_with("[Interface]\nPrivateKey = YOUR_PRIVATE_KEY\nAddress = 10.10.0.2\n"), "{config}");
    assert!(config.contains(&format!("PublicKey = {KEY}")), "{config}");
    assert_eq!(core.json("device list")[0]["public_key"], OTHER_KEY);
    core.json("device remove 1");
    let told = core.run(&format!("device add web-1 --location servers --public-key {OTHER_KEY}")).stdout;
    assert!(String::from_utf8(told).unwrap().contains("\n\n[Interface]\nPrivateKey = YOUR_PRIVATE_KEY\n"));
}

#[test]
fn a_host_that_cannot_be_is_refused_with_the_reason() {
    let folder = Folder::new();
    let core = folder.serve();
    add_location(&core, "servers", "disabled");
    add_location(&core, "office", "internal");
    core.json(&format!("device add web-1 --location servers --public-key {KEY}"));
    for (line, reason) in [
        ("device add web-2 --location nowhere", "there is no location with the name nowhere"),
        ("device add web-2 --location office", "location office asks for a second factor, which a host cannot confirm"),
        (
            "device add web-1 --location servers",
            "there is a host web-1 already; remove it first with `postern-core device remove 1`",
        ),
        (
            "device add web-2 --location servers --public-key uBIZGnmTDUNxJTBHfR1Aw57LSWOHKTYBrlFBqBBEjWE=",
            "another device has this public key",
        ),
        (
            "device add web-2 --location servers --public-key nonsense",
            "this is no WireGuard public key, which is 32 bytes in base64",
        ),
    ] {
        let refused = core.run(&format!("{line} --json"));
        assert_eq!((code(&refused), error_of(&refused).as_str()), (1, reason), "{line}");
    }
    assert_eq!(core.json("device list").as_array().unwrap().len(), 1);
    assert_eq!(core.json("activity")[0]["detail"], "location servers");
}

#[test]
fn tokens_are_revoked_of_a_person_or_of_a_device() {
    let folder = Folder::new();
    let core = folder.serve();
    add_location(&core, "servers", "disabled");
    core.json("user add joe --email joe@example.com");
    core.json("user enroll joe");
    core.json("device add web-1 --location servers");

    assert_eq!(core.json("token revoke joe"), json!({ "login": "joe", "revoked": 1 }));
    assert_eq!(core.json("token revoke joe"), json!({ "login": "joe", "revoked": 0 }));
    assert_eq!(core.json("token revoke --device 1"), json!({ "device": 1, "revoked": 1 }));

    let events: Vec<_> = core.json("activity").as_array().unwrap().iter().map(|row| row["event"].clone()).collect();
    assert_eq!(events[..3], ["device_tokens_revoked", "enrollment_tokens_revoked", "enrollment_tokens_revoked"]);
    assert_eq!(error_of(&core.run("token revoke nobody --json")), "there is no person with the login nobody");
    assert_eq!(error_of(&core.run("token revoke --device 9 --json")), "there is no device 9");
    for line in ["token revoke", "token revoke joe --device 1", "token revoke --device x", "device add web-1"] {
        assert_eq!(code(&core.run(line)), 2, "{line}");
    }
}

#[test]
fn what_the_command_line_refuses_is_refused_on_the_socket_too() {
    use std::io::{Read as _, Write as _};
    let folder = Folder::new();
    let _core = folder.serve();
    for holder in [r#"{"login":null,"device":null}"#, r#"{"login":"joe","device":1}"#] {
        let mut socket = std::os::unix::net::UnixStream::connect(folder.path("run/core.sock")).unwrap();
        writeln!(socket, r#"{{"Token":{{"Revoke":{holder}}}}}"#).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "{\"Error\":\"name a person or a device, and not both\"}\n");
    }
}

fn add_location(core: &Core<'_>, name: &str, mfa: &str) {
    core.json(&format!(
        "location add {name} --endpoint vpn.example.com:51820 --address 10.10.0.1/24 --public-key {KEY} --mfa {mfa}"
    ));
}
