//! A Core that people use on SQLite moves to Postgres, where a second one joins it.

use postern_tests::{
    Cluster, Member,
    cluster::START_LIMIT,
    enrollment::{Enrollment, public_key},
};

use super::poll;

const OPERATION: &str = "0123456789abcdef0123456789abcdef";

#[tokio::test]
async fn whoever_has_enrolled_on_sqlite_goes_on_on_postgres() {
    let mut cluster = Cluster::start().await.expect("the cluster starts");
    let (joe, ann) = (cluster.invite("joe").await.expect("joe"), cluster.invite("ann").await.expect("ann"));
    let joe = Member::enroll(&cluster.public(), &joe).await.expect("joe enrolls");
    let ann = Enrollment::start(&cluster.public(), &ann).await.expect("ann begins");
    let (key, through) = (public_key().expect("a key"), cluster.edges[0].client());
    let ann = ann.through(&through.with_header("x-operation-id", OPERATION));
    let before = ann.create_device("laptop", &key).await.expect("create_device");
    assert_eq!(before.status, 200, "{before:?}");
    let said = answers(&cluster).await;
    let identities: Vec<_> = cluster.edges.iter().map(|edge| edge.identity().expect("an identity")).collect();

    cluster.core.signal("TERM").expect("SIGTERM");
    assert!(cluster.core.ended(START_LIMIT).await.expect("core ends").success());
    let moved = cluster.move_to_postgres().await.expect("it moves, and starts there");
    assert!(moved["tables"]["operations"].as_u64().is_some_and(|rows| rows > 0), "{moved}");
    for edge in &cluster.edges {
        edge.ready(true, START_LIMIT).await.expect("its tunnel is back");
    }

    assert_eq!(answers(&cluster).await, said);
    for (edge, identity) in cluster.edges.iter().zip(&identities) {
        assert_eq!(poll(&edge.client(), &joe.device.polling_token).await, 200);
        assert_eq!(edge.identity().expect("an identity"), *identity, "{} was not adopted again", edge.name);
    }
    let passed = joe.log_in(&cluster.public()).await.expect("client-mfa/finish");
    assert_eq!(passed.status, 200, "{passed:?}");
    let again = ann.create_device("laptop", &key).await.expect("create_device again");
    assert_eq!((again.status, &again.body), (200, &before.body), "the operation is remembered");
    let activated = ann.activate_user(postern_tests::enrollment::PASSWORD).await.expect("activate_user");
    assert_eq!(activated.status, 200, "{activated:?}");

    let second = cluster.add_core().await.expect("a second Core");
    cluster.beside[second].connected(2, START_LIMIT).await.expect("it dials every Edge");
    cluster.core.kill().expect("kill core");
    assert_eq!(poll(&cluster.public(), &joe.device.polling_token).await, 200);
}

async fn answers(cluster: &Cluster) -> Vec<serde_json::Value> {
    let mut said = Vec::new();
    for command in [&["user", "list"][..], &["device", "list"], &["location", "list"], &["activity", "--limit", "1000"]]
    {
        said.push(cluster.cli(command).await.expect("an answer"));
    }
    said
}
