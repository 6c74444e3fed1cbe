//! A login with the second factor: who gets a key, for what, how often; and with which words everybody else is refused.

use postern_tests::{
    Client, Cluster, Member, Reply,
    enrollment::public_key,
    mfa::{TOTP, finish_login},
};
use serde_json::{Value, json};

const START: &str = "/api/v1/client-mfa/start";
const EMAIL: i32 = 1;
const OIDC: i32 = 2;
const BIOMETRIC: i32 = 3;
const MOBILE_APPROVE: i32 = 4;

#[tokio::test]
async fn a_code_opens_one_location_once_and_never_the_login_of_somebody_else() {
    let cluster = Cluster::start().await.expect("the cluster starts");
    let (joe, ann) = (member(&cluster, "joe").await, member(&cluster, "ann").await);
    let public = cluster.public();
    let of_joe = joe.device.begin_login(&public).await.expect("client-mfa/start");
    let of_ann = ann.device.begin_login(&public).await.expect("client-mfa/start");
    let (code_of_joe, code_of_ann) = (joe.factor.authenticator.code(), ann.factor.authenticator.code());

    assert_refused(&finish(&public, &of_joe, &code_of_ann).await, 401, "unauthorized");
    assert_refused(&finish(&public, &of_ann, &code_of_joe).await, 401, "unauthorized");
    assert_refused(&finish(&public, &of_joe, &ann.factor.recovery_codes[0]).await, 401, "unauthorized");
    assert_refused(&finish(&public, &"x".repeat(32), &code_of_joe).await, 400, "login session not found");
    assert_refused(&finish(&public, "no token", &code_of_joe).await, 400, "invalid token");

    // Swapped, both are still as good as new; and whoever comes second with a token gets nothing.
    assert_eq!(finish(&public, &of_joe, &code_of_joe).await.status, 200);
    assert_refused(&finish(&public, &of_joe, &code_of_joe).await, 400, "login session not found");
    assert_eq!(finish(&public, &of_ann, &code_of_ann).await.status, 200);

    let again = joe.device.begin_login(&public).await.expect("client-mfa/start");
    assert_refused(&finish(&public, &again, &code_of_joe).await, 401, "unauthorized");
    assert_eq!(finish(&public, &again, &joe.factor.recovery_codes[0]).await.status, 200);
    let twice = joe.device.begin_login(&public).await.expect("client-mfa/start");
    assert_refused(&finish(&public, &twice, &joe.factor.recovery_codes[0]).await, 401, "unauthorized");
}

#[tokio::test]
async fn any_edge_finishes_what_another_began_and_a_start_never_ends_one_before_it() {
    let cluster = Cluster::start().await.expect("the cluster starts");
    let joe = member(&cluster, "joe").await;
    let (one, other) = (cluster.edges[0].client(), cluster.edges[1].client());
    let first = joe.device.begin_login(&one).await.expect("client-mfa/start");
    let second = joe.device.begin_login(&other).await.expect("client-mfa/start");
    assert_ne!(first, second);

    let passed = finish(&other, &first, &joe.factor.authenticator.code()).await;
    let also = finish(&one, &second, &joe.factor.recovery_codes[0]).await;
    assert_eq!((passed.status, also.status), (200, 200), "{passed:?} {also:?}");
    let (old, new) = (passed.json().expect("JSON"), also.json().expect("JSON"));
    assert_ne!(old["preshared_key"], new["preshared_key"]);
    let peers = cluster.cli_text(&["location", "peers", "Office", "--format", "wg"]).await.expect("location peers");
    assert!(peers.contains(new["preshared_key"].as_str().expect("a key")), "{peers}");
}

#[tokio::test]
async fn the_code_of_the_set_up_is_not_accepted_again_at_login() {
    let cluster = Cluster::start().await.expect("the cluster starts");
    let joe = member(&cluster, "joe").await;
    let public = cluster.public();
    let session = joe.device.begin_login(&public).await.expect("client-mfa/start");
    assert_refused(&finish(&public, &session, &joe.factor.set_up_code).await, 401, "unauthorized");

    // Nor after a newer one; which is accepted in the very login that saw the old one.
    assert_eq!(finish(&public, &session, &joe.factor.authenticator.code()).await.status, 200);
    let session = joe.device.begin_login(&public).await.expect("client-mfa/start");
    assert_refused(&finish(&public, &session, &joe.factor.set_up_code).await, 401, "unauthorized");
}

#[tokio::test]
async fn a_start_that_cannot_lead_anywhere_says_why() {
    let cluster = Cluster::start().await.expect("the cluster starts");
    let key = public_key().expect("a key");
    for (name, network, mode) in [("Open", "10.78.0.1/24", "disabled"), ("Partner", "10.79.0.1/24", "external")] {
        let add = ["location", "add", name, "--endpoint", "vpn.example.org:51821", "--address", network];
        let rest = ["--public-key", &key, "--allowed-ips", "10.0.0.0/8", "--mfa", mode];
        cluster.cli(&[&add[..], &rest[..]].concat()).await.expect("location add");
    }
    let joe = member(&cluster, "joe").await;
    let host = public_key().expect("a key");
    let add = ["device", "add", "printer", "--location", "Open", "--public-key", &host];
    cluster.cli(&add).await.expect("device add");
    let [office, open, partner] = locations(&cluster, ["Office", "Open", "Partner"]).await;
    let (laptop, stranger) = (&joe.device.public_key, &public_key().expect("a key"));

    for (location, key, method, status, text) in [
        (4_711, laptop, TOTP, 400, "location not found"),
        (open, laptop, TOTP, 400, "MFA not enabled for location"),
        (office, stranger, TOTP, 400, "device not found"),
        (office, &host, TOTP, 401, "unauthorized"),
        (office, laptop, EMAIL, 400, "selected MFA method not available"),
        (office, laptop, OIDC, 400, "selected MFA method not supported by location"),
        (partner, laptop, TOTP, 400, "selected MFA method not supported by location"),
        (office, laptop, BIOMETRIC, 400, "Select MFA method not available for the device."),
        (office, laptop, MOBILE_APPROVE, 400, "selected MFA method not available"),
    ] {
        let body = json!({ "location_id": location, "pubkey": key, "method": method });
        assert_refused(&cluster.public().post(START, &body).await.expect(text), status, text);
    }
}

#[tokio::test]
async fn a_person_disabled_in_mid_flow_gets_no_key_and_leaves_the_peers() {
    let cluster = Cluster::start().await.expect("the cluster starts");
    let joe = member(&cluster, "joe").await;
    let public = cluster.public();
    let inside =
        finish(&public, &joe.device.begin_login(&public).await.expect("start"), &joe.factor.recovery_codes[0]).await;
    assert_eq!(inside.status, 200, "{inside:?}");
    let under_way = joe.device.begin_login(&public).await.expect("client-mfa/start");

    cluster.cli(&["user", "disable", "joe"]).await.expect("user disable");
    let cut_off = finish(&public, &under_way, &joe.factor.authenticator.code()).await;
    assert_refused(&cut_off, 400, "login session not found");
    let started = joe.device.start_login(&public).await.expect("client-mfa/start");
    assert_refused(&started, 401, "unauthorized");
    assert_eq!(cluster.cli(&["location", "peers", "Office"]).await.expect("location peers"), json!([]));
}

async fn member(cluster: &Cluster, login: &str) -> Member {
    let token = cluster.invite(login).await.expect("a person is invited");
    Member::enroll(&cluster.public(), &token).await.expect("the person enrolls")
}

async fn finish(client: &Client, session: &str, code: &str) -> Reply {
    finish_login(client, session, code).await.expect("client-mfa/finish")
}

async fn locations<const N: usize>(cluster: &Cluster, names: [&str; N]) -> [i64; N] {
    let list = cluster.cli(&["location", "list"]).await.expect("location list");
    let list: Vec<Value> = serde_json::from_value(list).expect("a list");
    names
        .map(|name| list.iter().find(|location| location["name"] == name).and_then(|it| it["id"].as_i64()).expect(name))
}

fn assert_refused(reply: &Reply, status: u16, text: &str) {
    assert_eq!((reply.status, &reply.json().expect("JSON")["error"]), (status, &text.into()), "{reply:?}");
}
