//! One of two Cores goes, and nobody notices.

use std::time::Duration;

use postern_tests::{Cluster, Load, Member, cluster::START_LIMIT, enrollment::enroll};

use super::two_cores;

const RATE: u32 = 100;
/// How long the load runs before and after each loss.
const PHASE: Duration = Duration::from_secs(2);

/// Two Cores, a device that polls, and a person who can log in.
async fn scene() -> (Cluster, String, Member) {
    let cluster = two_cores().await;
    let (joe, ann) = (cluster.invite("joe").await.expect("joe"), cluster.invite("ann").await.expect("ann"));
    let polling = enroll(&cluster.public(), &joe).await.expect("joe enrolls").polling_token;
    let ann = Member::enroll(&cluster.public(), &ann).await.expect("ann enrolls");
    (cluster, polling, ann)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_one_core_under_load_fails_no_call() {
    let (mut cluster, polling, ann) = scene().await;
    let load = Load::polls(cluster.public(), &polling, RATE);
    tokio::time::sleep(PHASE).await;
    cluster.beside[0].kill().expect("kill core-2");
    tokio::time::sleep(PHASE).await;
    let passed = ann.log_in(&cluster.edges[1].client()).await.expect("client-mfa/finish");
    assert_eq!(passed.status, 200, "{passed:?}");
    cluster.beside[0].start_again().expect("start core-2");
    cluster.beside[0].connected(2, START_LIMIT).await.expect("core-2 is back");
    cluster.core.kill().expect("kill core");
    tokio::time::sleep(PHASE).await;
    let summary = load.finish().await.expect("the load ends");
    eprintln!("one Core killed after the other: {summary}");
    assert_eq!(summary.failed(), 0, "{summary}");
    assert!(cluster.beside[0].answered("instance_info").await.expect("a number") > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_one_core_under_load_fails_no_call() {
    let (mut cluster, polling, ann) = scene().await;
    let load = Load::polls(cluster.public(), &polling, RATE);
    tokio::time::sleep(PHASE).await;
    cluster.core.signal("TERM").expect("SIGTERM");
    let ended = cluster.core.ended(Duration::from_secs(10)).await.expect("core ends");
    assert!(ended.success(), "{ended}");
    tokio::time::sleep(PHASE).await;
    let passed = ann.log_in(&cluster.edges[0].client()).await.expect("client-mfa/finish");
    assert_eq!(passed.status, 200, "{passed:?}");
    let summary = load.finish().await.expect("the load ends");
    eprintln!("one Core stopped: {summary}");
    assert_eq!(summary.failed(), 0, "{summary}");
    for edge in &cluster.edges {
        assert!(summary.edges()[edge.name.as_str()] > 0, "{summary}");
    }
}
