//! From the token to a location, with nothing but curl; and the same while programs end and start between the steps.

use std::time::Duration;

use postern_tests::Cluster;

use crate::journey::{Journey, STEPS};

#[tokio::test]
async fn curl_alone_takes_a_person_from_the_token_into_a_location() {
    let cluster = Cluster::start().await.expect("the cluster starts");
    let mut joe = Journey::begin(&cluster, "joe").await;
    for step in STEPS {
        joe.take(step).await;
    }
    let peers = cluster.cli_text(&["location", "peers", "Office", "--format", "wg"]).await.expect("location peers");
    assert_eq!(peers.matches("[Peer]").count(), 1, "{peers}");
    assert!(peers.contains(&joe.peer()), "{peers}\nholds no\n{}", joe.peer());
}

#[tokio::test]
async fn a_person_gets_there_while_core_restarts_and_edges_die_between_the_steps() {
    let mut cluster = Cluster::start().await.expect("the cluster starts");
    // Where one of them meets a restart of Core the other meets a killed Edge.
    for (login, core_first) in [("joe", true), ("ann", false)] {
        let mut person = Journey::begin(&cluster, login).await;
        for (gap, step) in STEPS.into_iter().enumerate() {
            person.take(step).await;
            if (gap % 2 == 0) == core_first {
                cluster.restart_core().await.expect("core is back");
            } else {
                kill_and_start_an_edge(&mut cluster, gap / 2 % 2).await;
            }
        }
        let peers = cluster.cli_text(&["location", "peers", "Office", "--format", "wg"]).await.expect("location peers");
        assert!(peers.contains(&person.peer()), "{peers}\nholds no\n{}", person.peer());
    }
}

/// The Edge is killed now; it comes back while the next step is already under way.
pub(crate) async fn kill_and_start_an_edge(cluster: &mut Cluster, edge: usize) {
    // The other one serves meanwhile, so it has to be back from its own end.
    cluster.ready(1 - edge, true, Duration::from_secs(5)).await.expect("the other Edge serves");
    cluster.edges[edge].process.kill().expect("kill an Edge");
    cluster.edges[edge].process.start_again().expect("start it again");
}
