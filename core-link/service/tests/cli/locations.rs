//! Commands about locations that exist.

use serde_json::json;

use crate::core::{Core, Folder, code, error_of};

const KEY: &str = "uBIZGnmTDUNxJTBHfR1Aw57LSWOHKTYBrlFBqBBEjWE=";
const HOST_KEY: &str = "BjoPl/4Qdi0se18RP6pHqPidrrF2iHnqKqFAL6Eh9IM=";

fn add_office(core: &Core<'_>) {
    let ranges = "10.10.0.1/24,fd00:10::1/64";
    core.json(&format!("location add office --endpoint vpn.example.com:51820 --address {ranges} --public-key {KEY}"));
}

#[test]
fn a_location_can_be_changed_and_removed() {
    let folder = Folder::new();
    let core = folder.serve();
    add_office(&core);

    let changed = core.json(
        "location set office --name hq --endpoint vpn2.example.com:1 --allowed-ips 10.0.0.0/8,fd00::/8 \
         --dns 10.10.0.1,fd00:10::1 --mfa internal --keepalive 10",
    );

    assert_eq!(changed, json!({ "id": 1, "name": "hq" }));
    assert_eq!(
        core.json("location list"),
        json!([{
            "id": 1, "name": "hq", "endpoint": "vpn2.example.com:1", "addresses": ["10.10.0.0/24", "fd00:10::/64"],
            "public_key": KEY, "allowed_ips": ["10.0.0.0/8", "fd00::/8"], "dns": ["10.10.0.1", "fd00:10::1"],
            "mfa": "internal", "keepalive": 10, "devices": 0,
        }])
    );
    core.json("location set hq --dns none");
    assert_eq!(core.json("location list")[0]["dns"], json!([]));
    let removed = core.json("location remove hq");
    assert_eq!(removed, json!({ "id": 1, "name": "hq", "removed": true, "devices": 0, "hosts": 0 }));
    assert_eq!(core.json("location list"), json!([]));
    assert_eq!(error_of(&core.run("location remove hq --json")), "there is no location with the name hq");
}

#[test]
fn a_change_of_nothing_and_of_ranges_is_wrong_usage() {
    let folder = Folder::new();
    for line in ["set office", "set office --address 10.11.0.1/24", "set office --dns here", "set office --mfa maybe"] {
        assert_eq!(code(&folder.run(&format!("location {line}"))), 2, "{line}");
    }
    let help = String::from_utf8(folder.run("location set --help").stdout).unwrap();
    assert!(help.contains("The address ranges never do"), "{help}");
}

#[test]
fn peers_are_told_for_people_for_scripts_and_for_wireguard() {
    let folder = Folder::new();
    let core = folder.serve();
    add_office(&core);
    core.json(&format!("device add printer --location office --public-key {HOST_KEY}"));

    let row = json!({
        "device": 1, "name": "printer", "user": null, "public_key": HOST_KEY,
        "addresses": ["10.10.0.2", "fd00:10::2"], "authorised_until": null,
    });
    assert_eq!(core.json("location peers office"), json!([row]));
    let told = |line: &str| String::from_utf8(core.run(line).stdout).unwrap();
    assert_eq!(told("location peers office --format json"), format!("{}\n", json!([row])));
    let config =
        format!("# office: 1 peer\n\n[Peer]\nPublicKey = {HOST_KEY}\nAllowedIPs = 10.10.0.2/32,fd00:10::2/128\n");
    assert_eq!(told("location peers office --format wg"), config);
    assert_eq!(core.json("location peers office --format wg"), json!({ "config": config }));
    let table = told("location peers office");
    assert!(table.starts_with("DEVICE  NAME     USER  PUBLIC KEY "), "{table}");
    assert!(table.contains("1       printer  -     BjoPl"), "{table}");
    assert_eq!(code(&core.run("location peers lab")), 1);
}

#[test]
fn a_location_with_hosts_refuses_a_second_factor_and_takes_them_along_when_it_goes() {
    let folder = Folder::new();
    let core = folder.serve();
    add_office(&core);
    core.json(&format!("device add printer --location office --public-key {HOST_KEY}"));

    let refused = error_of(&core.run("location set office --mfa internal --json"));
    assert!(refused.starts_with("hosts are in this location (1)"), "{refused}");
    assert_eq!(
        String::from_utf8(core.run("location remove office").stdout).unwrap(),
        "Location office was removed. 1 device lost an address there; 1 host of that location went with it.\n"
    );
    assert_eq!(core.json("device list"), json!([]));
}
