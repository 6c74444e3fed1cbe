//! A person enrolls a device through NGINX, two Edges and one Core.

use std::collections::BTreeSet;

use postern_tests::{
    Cluster, Setup,
    enrollment::{Enrollment, PASSWORD, enroll, public_key},
    mfa::{Device, SecondFactor},
};
use serde_json::json;

#[tokio::test]
async fn a_person_enrolls_a_device_with_every_step_through_another_edge() {
    let cluster = Cluster::start().await.expect("the cluster starts");
    let token = cluster.invite("joe").await.expect("a person is invited");
    let (first, second) = (cluster.edges[0].client(), cluster.edges[1].client());

    let enrollment = Enrollment::start(&first, &token).await.expect("start");
    let started = &enrollment.started;
    assert_eq!(started["user"]["login"], "joe");
    assert_eq!(started["user"]["enrolled"], false);
    assert_eq!(started["user"]["device_names"], json!([]));
    assert!(started["admin"]["email"].is_string(), "mobile clients need an admin: {started}");
    assert!(started["instance"]["proxy_url"].as_str().is_some_and(|url| url.ends_with('/')), "{started}");

    let key = public_key().expect("a key");
    let created = enrollment.through(&second).create_device("laptop", &key).await.expect("create_device");
    assert_eq!(created.status, 200, "{created:?}");
    let created = created.json().expect("JSON");
    assert_eq!(created["device"]["pubkey"], key);
    let config = &created["configs"][0];
    assert_eq!(config["network_name"], "Office");
    assert!(config["config"].as_str().is_some_and(|text| text.contains("[Peer]")), "{config}");

    let activated = enrollment.through(&first).activate_user(PASSWORD).await.expect("activate_user");
    assert_eq!((activated.status, activated.json().expect("JSON")), (200, json!({})));
    assert!(activated.header("set-cookie").starts_with("defguard_proxy="), "the cookie is removed: {activated:?}");

    let polled = second.post("/api/v1/poll", &json!({ "token": created["token"] })).await.expect("poll");
    assert_eq!(polled.status, 200, "{polled:?}");
    let polled = polled.json().expect("JSON");
    assert_eq!(polled["device_config"]["configs"], created["configs"]);
    assert!(polled["device_config"]["token"].is_null());
}

#[tokio::test]
async fn nginx_spreads_the_calls_over_both_edges() {
    let cluster = Cluster::start().await.expect("the cluster starts");
    let token = cluster.invite("joe").await.expect("a person is invited");
    let enrolled = enroll(&cluster.public(), &token).await.expect("enroll");

    let mut edges = BTreeSet::new();
    for _ in 0..20 {
        let polled = cluster.public().post("/api/v1/poll", &json!({ "token": enrolled.polling_token })).await;
        let polled = polled.expect("poll");
        assert_eq!(polled.status, 200, "{polled:?}");
        edges.insert(polled.header("x-postern-edge").to_owned());
    }
    assert_eq!(edges, BTreeSet::from(["edge-1".to_owned(), "edge-2".to_owned()]));
}

#[tokio::test]
async fn a_second_person_takes_nothing_from_the_first() {
    let cluster = Cluster::start().await.expect("the cluster starts");
    let mut addresses = BTreeSet::new();
    for login in ["joe", "ann"] {
        let token = cluster.invite(login).await.expect("a person is invited");
        let enrolled = enroll(&cluster.public(), &token).await.expect("enroll");
        addresses.insert(enrolled.device["configs"][0]["assigned_ip"].as_str().expect("an address").to_owned());
    }
    assert_eq!(addresses.len(), 2, "two devices share an address: {addresses:?}");

    let devices = cluster.cli(&["device", "list"]).await.expect("device list");
    let owners: Vec<_> = devices.as_array().expect("a list").iter().map(|device| &device["user"]).collect();
    assert_eq!(owners, ["joe", "ann"]);
    let people = cluster.cli(&["user", "list"]).await.expect("user list");
    assert!(people.as_array().expect("a list").iter().all(|person| person["enrolled"] == true), "{people}");
}

#[tokio::test]
async fn an_installation_may_ask_for_a_second_factor_and_a_device() {
    let asks = vec![("MFA_REQUIRED", "true".to_owned()), ("VPN_SETUP_OPTIONAL", "false".to_owned())];
    let setup = Setup { core_settings: asks, ..Setup::default() };
    let cluster = Cluster::start_with(setup).await.expect("the cluster starts");
    let token = cluster.invite("joe").await.expect("a person is invited");
    let enrollment = Enrollment::start(&cluster.public(), &token).await.expect("start");
    let settings = &enrollment.started["settings"];
    assert_eq!((&settings["mfa_required"], &settings["vpn_setup_optional"]), (&json!(true), &json!(false)));

    let refused = enrollment.activate_user(PASSWORD).await.expect("activate_user");
    assert_eq!(
        (refused.status, &refused.json().expect("JSON")["error"]),
        (400, &json!("set up a second factor first"))
    );
    SecondFactor::set_up(&enrollment).await.expect("a factor");
    let refused = enrollment.activate_user(PASSWORD).await.expect("activate_user");
    assert_eq!((refused.status, &refused.json().expect("JSON")["error"]), (400, &json!("add a device first")));
    Device::create(&enrollment, "laptop").await.expect("a device");
    let activated = enrollment.activate_user(PASSWORD).await.expect("activate_user");
    assert_eq!(activated.status, 200, "{activated:?}");
}
