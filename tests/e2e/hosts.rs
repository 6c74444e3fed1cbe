//! A host without a person, enrolled as the stock tool `dg` does it.

use postern_tests::{Cluster, enrollment::Enrollment, enrollment::public_key};
use serde_json::{Value, json};

#[tokio::test]
async fn a_host_enrolls_with_its_token_and_polls() {
    let cluster = Cluster::start().await.expect("the cluster starts");
    add_open_location(&cluster).await;
    let added = cluster.cli(&["device", "add", "printer", "--location", "Open"]).await.expect("device add");
    let fields: Vec<_> = added.as_object().expect("an object").keys().map(String::as_str).collect();
    for field in ["id", "name", "location", "token", "expires_at", "url"] {
        assert!(fields.contains(&field), "no {field} in {added}");
    }
    assert_eq!((&added["name"], &added["location"]), (&json!("printer"), &json!("Open")), "{added}");
    let token = added["token"].as_str().expect("a token");

    let enrollment = Enrollment::start(&cluster.public(), token).await.expect("start");
    let url = format!("http://{}/", cluster.nginx.public);
    let instance = json!({
        "id": enrollment.started["instance"]["id"], "name": "Postern", "url": url, "proxy_url": url,
        "username": "printer", "enterprise_enabled": true, "disable_all_traffic": false, "openid_display_name": null,
        "client_traffic_policy": 0,
    });
    assert_eq!(enrollment.started["instance"], instance);
    let user = json!({
        "first_name": "", "last_name": "", "login": "printer", "email": "", "phone_number": null, "is_active": true,
        "device_names": ["printer"], "enrolled": true, "is_admin": false,
    });
    assert_eq!(enrollment.started["user"], user);

    let key = public_key().expect("a key");
    let created = enrollment.create_device("", &key).await.expect("create_device");
    assert_eq!(created.status, 200, "{created:?}");
    let created = created.json().expect("JSON");
    let expected = json!({ "id": added["id"], "name": "printer", "pubkey": key });
    for (field, value) in expected.as_object().expect("an object") {
        assert_eq!(&created["device"][field], value, "{created}");
    }
    assert_eq!(created["configs"].as_array().map(Vec::len), Some(1), "{created}");
    assert_eq!(created["configs"][0]["network_name"], "Open", "{created}");
    assert_eq!(created["configs"][0]["mfa_enabled"], false, "{created}");
    assert_eq!(created["instance"], instance);

    let polled = cluster.public().post("/api/v1/poll", &json!({ "token": created["token"] })).await.expect("poll");
    assert_eq!(polled.status, 200, "{polled:?}");
    let polled = polled.json().expect("JSON");
    assert_eq!(polled["device_config"]["configs"], created["configs"]);
    let peers = cluster.cli_text(&["location", "peers", "Open", "--format", "wg"]).await.expect("location peers");
    assert!(peers.contains(&format!("PublicKey = {key}\n")) && !peers.contains("PresharedKey"), "{peers}");
}

#[tokio::test]
async fn a_hosts_token_activates_nobody_and_sets_up_no_factor() {
    let cluster = Cluster::start().await.expect("the cluster starts");
    add_open_location(&cluster).await;
    let added = cluster.cli(&["device", "add", "printer", "--location", "Open"]).await.expect("device add");
    let enrollment =
        Enrollment::start(&cluster.public(), added["token"].as_str().expect("a token")).await.expect("start");
    let activated = enrollment.activate_user("Choose-a-long-0ne").await.expect("activate_user");
    let factor = enrollment.post("/api/v1/enrollment/register-mfa/code/start", &json!({ "method": "Totp" })).await;
    for reply in [activated, factor.expect("code/start")] {
        assert_eq!((reply.status, &reply.json().expect("JSON")["error"]), (403, &json!("invalid token")), "{reply:?}");
    }
}

#[tokio::test]
async fn a_host_is_refused_where_a_login_is_needed_and_a_persons_token_makes_none() {
    let cluster = Cluster::start().await.expect("the cluster starts");
    assert!(cluster.cli(&["device", "add", "printer", "--location", "Office"]).await.is_err(), "a location with MFA");
    assert!(cluster.cli(&["device", "add", "printer", "--location", "Nowhere"]).await.is_err(), "no such location");
    let token = cluster.invite("joe").await.expect("a person is invited");
    let enrollment = Enrollment::start(&cluster.public(), &token).await.expect("start");
    let nameless = enrollment.create_device("", &public_key().expect("a key")).await.expect("create_device");
    assert_eq!(nameless.status, 400, "{nameless:?}");
    let said: Value = nameless.json().expect("JSON");
    assert!(said["error"].as_str().is_some_and(|text| text.contains("postern-core device add")), "{said}");
}

async fn add_open_location(cluster: &Cluster) {
    let key = public_key().expect("a key");
    let add = ["location", "add", "Open", "--endpoint", "vpn.example.org:51821", "--address", "10.78.0.1/24"];
    let rest = ["--public-key", &key, "--allowed-ips", "10.78.0.0/24", "--mfa", "disabled"];
    cluster.cli(&[&add[..], &rest[..]].concat()).await.expect("location add");
}
