//! A desktop asks for its device once more; at a 404 it deletes its instance, so nobody but Core may say that.

use std::time::Duration;

use http::Method;
use postern_tests::{
    Client, Cluster,
    enrollment::{Enrollment, public_key},
    mfa::Device,
};
use serde_json::json;

const PATH: &str = "/api/v1/enrollment/network_info";

#[tokio::test]
async fn a_known_device_gets_its_configuration_again_and_only_core_says_404() {
    let mut cluster = Cluster::start().await.expect("the cluster starts");
    let token = cluster.invite("joe").await.expect("a person is invited");
    let enrollment = Enrollment::start(&cluster.public(), &token).await.expect("start");
    let created = enrollment.create_device("laptop", &public_key().expect("a key")).await.expect("create_device");
    let created = created.json().expect("JSON");

    let known = enrollment.post(PATH, &json!({ "pubkey": created["device"]["pubkey"] })).await.expect("network_info");
    assert_eq!(known.status, 200, "{known:?}");
    let known = known.json().expect("JSON");
    for field in ["device", "configs", "instance"] {
        assert_eq!(known[field], created[field]);
    }
    assert!(known["token"].is_string(), "a client that asks again has lost its polling token: {known}");
    let unknown = json!({ "pubkey": public_key().expect("a key") });
    let of_core = enrollment.post(PATH, &unknown).await.expect("network_info");
    assert_eq!((of_core.status, &of_core.json().expect("JSON")["code"]), (404, &json!("not_found")), "{of_core:?}");

    let stranger = stranger(&cluster).await;
    let public = cluster.public();
    let with_cookie = |cookie: &str| public.clone().with_header("cookie", cookie);
    assert_eq!(public.post(PATH, &unknown).await.expect("no session").status, 401);
    assert_eq!(with_cookie("defguard_proxy=x").post(PATH, &unknown).await.expect("a foreign session").status, 401);
    let foreign = enrollment.post(PATH, &json!({ "pubkey": stranger.public_key })).await.expect("a foreign device");
    assert!(!matches!(foreign.status, 200 | 404), "{foreign:?}");
    for method in [Method::GET, Method::PUT, Method::DELETE, Method::OPTIONS] {
        let reply =
            with_cookie(&enrollment.cookie).send(method.clone(), PATH, "".into()).await.expect("another method");
        assert_eq!(reply.status, 405, "{method}: {reply:?}");
    }
    cluster.core.kill().expect("kill core");
    for edge in &cluster.edges {
        edge.ready(false, Duration::from_secs(5)).await.expect("the Edge notices");
    }
    assert_eq!(enrollment.post(PATH, &unknown).await.expect("no Core").status, 503);
    for edge in &mut cluster.edges {
        edge.process.kill().expect("kill an Edge");
    }
    assert_eq!(enrollment.post(PATH, &unknown).await.expect("no Edge").status, 502);
}

/// A device of somebody else.
async fn stranger(cluster: &Cluster) -> Device {
    let token = cluster.invite("ann").await.expect("a person is invited");
    let public: Client = cluster.public();
    let enrollment = Enrollment::start(&public, &token).await.expect("start");
    Device::create(&enrollment, "laptop").await.expect("create_device")
}
