//! An operation takes effect at most once, however often and through whichever Edge it is repeated.

use postern_tests::{
    Cluster, at_once,
    enrollment::{Enrollment, public_key},
    mfa::finish_login,
};
use serde_json::Value;

use crate::cluster_with_a_member;

const OPERATION: &str = "0123456789abcdef0123456789abcdef";

/// A started enrollment, as seen through both Edges, each with the same operation id.
async fn through_both_edges(cluster: &Cluster) -> [Enrollment; 2] {
    let token = cluster.invite("joe").await.expect("a person is invited");
    let enrollment = Enrollment::start(&cluster.public(), &token).await.expect("start");
    [0, 1].map(|edge| enrollment.through(&cluster.edges[edge].client().with_header("x-operation-id", OPERATION)))
}

async fn devices(cluster: &Cluster) -> Vec<Value> {
    let list = cluster.cli(&["device", "list"]).await.expect("device list");
    list.as_array().expect("a list").clone()
}

#[tokio::test]
async fn an_operation_repeated_through_another_edge_gives_the_stored_reply() {
    let cluster = Cluster::start().await.expect("the cluster starts");
    let [first, second] = through_both_edges(&cluster).await;
    let key = public_key().expect("a key");

    let original = first.create_device("laptop", &key).await.expect("create_device");
    let repeated = second.create_device("laptop", &key).await.expect("create_device again");

    assert_eq!((original.status, repeated.status), (200, 200), "{repeated:?}");
    assert_eq!(original.body, repeated.body);
    assert_eq!(devices(&cluster).await.len(), 1);
}

#[tokio::test]
async fn an_operation_sent_twice_at_once_takes_effect_once() {
    let cluster = Cluster::start().await.expect("the cluster starts");
    let [first, second] = through_both_edges(&cluster).await;
    let key = public_key().expect("a key");

    let (one, other) = tokio::join!(first.create_device("laptop", &key), second.create_device("laptop", &key));
    let (one, other) = (one.expect("create_device"), other.expect("create_device at the same time"));

    assert_eq!((one.status, other.status), (200, 200), "{one:?} {other:?}");
    assert_eq!(one.body, other.body);
    assert_eq!(devices(&cluster).await.len(), 1);
}

#[tokio::test]
async fn another_payload_under_the_same_id_never_gets_the_stored_reply() {
    let cluster = Cluster::start().await.expect("the cluster starts");
    let [first, second] = through_both_edges(&cluster).await;

    let original = first.create_device("laptop", &public_key().expect("a key")).await.expect("create_device");
    let key = public_key().expect("another key");
    let other = second.create_device("phone", &key).await.expect("create_device with another payload");

    assert_eq!(original.status, 200, "{original:?}");
    assert_ne!(original.body, other.body);
    let other = other.json().expect("JSON");
    assert!(other["device"].is_null() || other["device"]["pubkey"] == key, "{other}");
}

#[tokio::test]
async fn somebody_elses_operation_id_is_worth_nothing() {
    let cluster = Cluster::start().await.expect("the cluster starts");
    let [first, _] = through_both_edges(&cluster).await;
    let key = public_key().expect("a key");
    let original = first.create_device("laptop", &key).await.expect("create_device");
    assert_eq!(original.status, 200, "{original:?}");

    // Same operation, same device, but the session of another person.
    let token = cluster.invite("eve").await.expect("a person is invited");
    let client = cluster.edges[1].client().with_header("x-operation-id", OPERATION);
    let eve = Enrollment::start(&client, &token).await.expect("start");
    let stolen = eve.create_device("laptop", &key).await.expect("create_device with a stolen id");

    assert_ne!(stolen.status, 200, "{stolen:?}");
    assert_eq!(devices(&cluster).await.len(), 1);
}

#[tokio::test]
async fn a_login_repeated_through_the_other_edge_gives_the_same_key() {
    let (cluster, joe) = cluster_with_a_member().await;
    let session = joe.device.begin_login(&cluster.public()).await.expect("client-mfa/start");
    let code = joe.factor.authenticator.code();
    let edges = [0, 1].map(|edge| cluster.edges[edge].client().with_header("x-operation-id", OPERATION));

    let original = finish_login(&edges[0], &session, &code).await.expect("client-mfa/finish");
    let repeated = finish_login(&edges[1], &session, &code).await.expect("client-mfa/finish again");
    assert_eq!((original.status, repeated.status), (200, 200), "{repeated:?}");
    assert_eq!(original.body, repeated.body);

    // Another operation with the same login and code is no repeat.
    let anew = finish_login(&cluster.public(), &session, &code).await.expect("client-mfa/finish");
    assert_eq!(anew.status, 400, "{anew:?}");
}

#[tokio::test]
async fn a_wrong_code_sent_fifty_times_by_one_operation_counts_once() {
    let (cluster, joe) = cluster_with_a_member().await;
    let session = joe.device.begin_login(&cluster.public()).await.expect("client-mfa/start");
    let wrong = joe.factor.authenticator.wrong_code();
    let replies = at_once(50, |number| {
        let edge = cluster.edges[number % 2].client().with_header("x-operation-id", OPERATION);
        let (session, wrong) = (session.clone(), wrong.clone());
        async move { finish_login(&edge, &session, &wrong).await.expect("client-mfa/finish") }
    })
    .await
    .expect("all answered");
    assert!(replies.iter().all(|reply| reply.status == 401), "{replies:?}");

    // Had it counted more often than five times, nobody would look at this code.
    let passed = joe.log_in(&cluster.public()).await.expect("client-mfa/finish");
    assert_eq!(passed.status, 200, "{passed:?}");
}
