//! `dg`, for hosts without a person.

use postern_tests::{Cluster, clients::Dg};

use super::steps;

#[tokio::test]
async fn a_host_joins_and_polls() {
    let cluster = Cluster::start().await.expect("the cluster starts");
    cluster.commands().add_location("Open", 78, "disabled").await.expect("location add");
    let added = cluster.cli(&["device", "add", "printer", "--location", "Open"]).await.expect("device add");
    let mut dg = Dg::new(&cluster.public_url());
    assert_eq!(dg.refused("nobodystokennobodystokennobodysto").await.expect("a refusal"), "invalid token");
    dg.start(added["token"].as_str().expect("a token")).await.expect("start");
    let host = dg.create_device().await.expect("create_device");
    assert_eq!(host.config["network_name"], "Open");
    assert_eq!(dg.poll(&host).await.expect("poll"), host.config);
    let peers = cluster.cli_text(&["location", "peers", "Open", "--format", "wg"]).await.expect("location peers");
    assert!(peers.contains(&host.public_key), "{peers}");
    assert_eq!(steps(&dg.caller), ["enrollment/start", "enrollment/start", "enrollment/create_device", "poll"]);
}
