//! How long an Edge is away when it is restarted.

use std::time::{Duration, Instant};

use postern_tests::Cluster;

const RESTARTS: usize = 20;

#[tokio::test]
async fn a_restarted_edge_is_ready_within_half_a_second() {
    let mut cluster = Cluster::start().await.expect("the cluster starts");
    let mut times = Vec::new();
    for _ in 0..RESTARTS {
        let edge = &mut cluster.edges[0];
        edge.process.kill().expect("kill edge-1");
        let begun = Instant::now();
        edge.process.start_again().expect("start edge-1");
        edge.ready(true, Duration::from_secs(5)).await.expect("edge-1 is ready");
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    let (median, worst) = (times[RESTARTS / 2], times[RESTARTS - 1]);
    eprintln!("ready after a restart: median {median:?}, worst {worst:?}, all {times:?}");
    assert!(median <= Duration::from_millis(500), "median {median:?} of {times:?}");
    assert!(worst <= Duration::from_millis(700), "worst {worst:?} of {times:?}");
}

#[tokio::test]
async fn an_idle_edge_ends_within_a_second_of_sigterm() {
    let mut cluster = Cluster::start().await.expect("the cluster starts");
    let edge = &mut cluster.edges[0];
    edge.process.signal("TERM").expect("SIGTERM");
    let status = edge.process.ended(Duration::from_secs(1)).await.expect("edge-1 ends");
    assert!(status.success(), "{status}");
}
