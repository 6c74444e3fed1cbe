//! The commands of an admin against a running Core, and what people notice of them.

use postern_tests::{
    Cluster,
    enrollment::{Enrollment, enroll},
    mfa::{SecondFactor, finish_login},
};
use serde_json::{Value, json};

use crate::cluster_with_a_member;

#[tokio::test]
async fn a_lost_phone_is_reset_and_a_new_one_set_up_with_a_fresh_token() {
    let (cluster, joe) = cluster_with_a_member().await;
    let public = cluster.public();
    assert_eq!(joe.log_in(&public).await.expect("client-mfa/finish").status, 200);
    assert_eq!(person(&cluster, "joe").await["mfa"], true);

    let reset = cluster.cli(&["user", "reset-mfa", "joe"]).await.expect("user reset-mfa");
    assert_eq!(reset, json!({ "login": "joe", "mfa_reset": true }));
    assert_eq!(person(&cluster, "joe").await["mfa"], false);
    assert_eq!(cluster.cli(&["location", "peers", "Office"]).await.expect("location peers"), json!([]));
    let refused = joe.device.start_login(&public).await.expect("client-mfa/start");
    assert_eq!(refused.json().expect("JSON")["error"], "selected MFA method not available", "{refused:?}");

    let invitation = cluster.cli(&["user", "enroll", "joe"]).await.expect("user enroll");
    let enrollment = Enrollment::start(&public, invitation["token"].as_str().expect("a token")).await.expect("start");
    let factor = SecondFactor::set_up(&enrollment).await.expect("a new factor");
    let session = joe.device.begin_login(&public).await.expect("client-mfa/start");
    let passed = finish_login(&public, &session, &factor.authenticator.code()).await.expect("client-mfa/finish");
    assert_eq!(passed.status, 200, "{passed:?}");
}

#[tokio::test]
async fn somebody_who_mistyped_too_often_is_let_in_again_at_once_by_unlock() {
    let (cluster, joe) = cluster_with_a_member().await;
    let public = cluster.public();
    let session = joe.device.begin_login(&public).await.expect("client-mfa/start");
    let wrong = joe.factor.authenticator.wrong_code();
    while finish_login(&public, &session, &wrong).await.expect("client-mfa/finish").status == 401 {}
    assert_eq!(joe.log_in(&public).await.expect("client-mfa/finish").status, 429);
    // Time alone would help as well: that is not locked.
    assert_eq!(person(&cluster, "joe").await["locked"], false);

    let unlocked = cluster.cli(&["user", "unlock", "joe"]).await.expect("user unlock");
    assert_eq!(unlocked, json!({ "login": "joe", "unlocked": true }));
    assert_eq!(joe.log_in(&public).await.expect("client-mfa/finish").status, 200);
}

#[tokio::test]
async fn a_deleted_person_is_gone_with_everything() {
    let (cluster, joe) = cluster_with_a_member().await;
    let public = cluster.public();
    let under_way = joe.device.begin_login(&public).await.expect("client-mfa/start");
    let deleted = cluster.cli(&["user", "delete", "joe"]).await.expect("user delete");
    assert_eq!(deleted, json!({ "login": "joe", "deleted": true, "devices": 1 }));

    assert_eq!(cluster.cli(&["device", "list"]).await.expect("device list"), json!([]));
    let code = joe.factor.authenticator.code();
    let refused = finish_login(&public, &under_way, &code).await.expect("client-mfa/finish");
    assert_eq!(refused.json().expect("JSON")["error"], "login session not found", "{refused:?}");
    assert_ne!(joe.device.poll(&public).await.expect("poll").status, 200);
    let token = cluster.invite("joe").await.expect("the login is free again");
    enroll(&public, &token).await.expect("enroll");
}

#[tokio::test]
async fn a_revoked_token_ends_its_session_and_a_revoked_device_stops_polling() {
    let (cluster, joe) = cluster_with_a_member().await;
    let public = cluster.public();
    let token = cluster.invite("ann").await.expect("a person is invited");
    let ann = Enrollment::start(&public, &token).await.expect("start");
    let revoked = cluster.cli(&["token", "revoke", "ann"]).await.expect("token revoke");
    assert_eq!(revoked, json!({ "login": "ann", "revoked": 1 }));
    let refused = ann.create_device("laptop", &joe.device.public_key).await.expect("create_device");
    assert_eq!(refused.status, 401, "{refused:?}");
    assert!(Enrollment::start(&public, &token).await.is_err(), "the token still works");

    let devices = cluster.cli(&["device", "list"]).await.expect("device list");
    let id = devices[0]["id"].as_i64().expect("an id");
    let revoked = cluster.cli(&["token", "revoke", "--device", &id.to_string()]).await.expect("token revoke");
    assert_eq!(revoked, json!({ "device": id, "revoked": 1 }));
    assert_ne!(joe.device.poll(&public).await.expect("poll").status, 200);
}

#[tokio::test]
async fn a_changed_location_reaches_the_next_poll_and_a_removed_one_leaves_it() {
    let (cluster, joe) = cluster_with_a_member().await;
    let public = cluster.public();
    let set = ["location", "set", "Office", "--name", "Branch", "--dns", "10.77.0.53", "--mfa", "disabled"];
    let set = cluster.cli(&set).await.expect("location set");
    assert_eq!(set, json!({ "id": joe.device.location, "name": "Branch" }));
    let polled = joe.device.poll(&public).await.expect("poll").json().expect("JSON");
    let config = &polled["device_config"]["configs"][0];
    assert_eq!((&config["network_name"], &config["dns"]), (&json!("Branch"), &json!("10.77.0.53")), "{polled}");
    assert_eq!((&config["mfa_enabled"], &config["location_mfa_mode"]), (&json!(false), &json!(1)), "{polled}");
    // Without MFA everybody is a peer.
    let peers = cluster.cli(&["location", "peers", "Branch"]).await.expect("location peers");
    assert_eq!(peers[0]["public_key"], joe.device.public_key, "{peers}");
    assert!(peers[0]["authorised_until"].is_null(), "{peers}");

    let removed = cluster.cli(&["location", "remove", "Branch"]).await.expect("location remove");
    let expected = json!({ "id": joe.device.location, "name": "Branch", "removed": true, "devices": 1, "hosts": 0 });
    assert_eq!(removed, expected);
    let polled = joe.device.poll(&public).await.expect("poll").json().expect("JSON");
    assert_eq!(polled["device_config"]["configs"], json!([]), "{polled}");
}

#[tokio::test]
async fn peers_say_who_is_in_and_until_when() {
    let (cluster, joe) = cluster_with_a_member().await;
    assert_eq!(cluster.cli(&["location", "peers", "Office"]).await.expect("location peers"), json!([]));
    assert_eq!(joe.log_in(&cluster.public()).await.expect("client-mfa/finish").status, 200);

    let peers = cluster.cli(&["location", "peers", "Office"]).await.expect("location peers");
    let peer = &peers[0];
    let expected = json!([{
        "device": peer["device"], "name": "laptop", "user": "joe", "public_key": joe.device.public_key, "addresses": peer["addresses"],
        "authorised_until": peer["authorised_until"],
    }]);
    assert_eq!(peers, expected);
    assert_eq!(peer["addresses"].as_array().map(Vec::len), Some(2), "{peers}");
    assert!(peer["authorised_until"].as_str().is_some_and(|time| time.ends_with('Z')), "{peers}");
}

async fn person(cluster: &Cluster, login: &str) -> Value {
    let people = cluster.cli(&["user", "list"]).await.expect("user list");
    let found = people.as_array().expect("a list").iter().find(|person| person["login"] == login).cloned();
    found.expect("the person is listed")
}
