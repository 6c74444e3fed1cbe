//! What an administrator changes at one Core, or at none, reaches all of them.

use std::{sync::Arc, time::Instant};

use postern_tests::{Cluster, cluster::START_LIMIT, eventually};
use time::OffsetDateTime;

use super::{FOLLOWED_WITHIN, hearing::Hearing, two_cores};
use crate::certificate_push::{Certificates, handshake};

#[tokio::test]
async fn every_core_dials_every_edge_and_says_what_it_sees_itself() {
    let mut cluster = two_cores().await;
    let mut since = Vec::new();
    for core in cluster.cores() {
        let listed = core.commands().json(&["edge", "list"]).await.expect("edge list");
        assert!(listed[0]["state"] == "connected" && listed[1]["state"] == "connected", "{listed}");
        since.push(listed[0]["since"].clone());
    }

    // Times are told in whole seconds.
    let second = OffsetDateTime::now_utc().unix_timestamp();
    let is_over = || async { OffsetDateTime::now_utc().unix_timestamp() > second };
    eventually("the next second", START_LIMIT, is_over).await.expect("time goes on");
    cluster.beside[0].kill().expect("kill core-2");
    let gone = cluster.beside[0].commands().json(&["edge", "list"]).await.expect("edge list");
    assert_eq!(gone[0]["state"], "offline", "{gone}");
    cluster.beside[0].start_again().expect("start core-2");
    cluster.beside[0].connected(2, START_LIMIT).await.expect("it dials all");
    let here = cluster.cli(&["edge", "list"]).await.expect("edge list");
    let there = cluster.beside[0].commands().json(&["edge", "list"]).await.expect("edge list");
    assert_eq!(here[0]["since"], since[0], "the first Core's tunnels have not ended");
    assert_ne!(there[0]["since"], since[1], "the second one's are new");
}

#[tokio::test]
async fn what_becomes_of_an_edge_at_one_core_is_followed_by_the_other() {
    for hearing in Hearing::ALL {
        let cluster = two_cores().await;
        hearing.begin(&cluster).await;
        let address = cluster.edges[1].tunnel.to_string();
        for (command, edges) in [
            (&["edge", "disable", "edge-2"][..], 1),
            (&["edge", "enable", "edge-2"], 2),
            (&["edge", "remove", "edge-2"], 1),
            (&["edge", "add", &address, "--name", "edge-2"], 2),
        ] {
            hearing.before_change(&cluster).await;
            cluster.cli(command).await.expect("the command is done");
            let begun = Instant::now();
            for core in cluster.cores() {
                let left = FOLLOWED_WITHIN.saturating_sub(begun.elapsed());
                core.connected(edges, left).await.unwrap_or_else(|error| panic!("{hearing:?} {command:?}: {error:#}"));
            }
            eprintln!("{hearing:?}: {command:?} followed within {:?}", begun.elapsed());
        }
        hearing.end(&cluster);
    }
}

#[tokio::test]
async fn a_certificate_that_no_running_core_stored_is_sent_by_each_of_them() {
    for hearing in Hearing::ALL {
        let mut cluster = two_cores().await;
        hearing.begin(&cluster).await;
        let certificates = Certificates::new().expect("two certificates");
        let nobody = cluster.core.commands().with("SOCKET", "/nonexistent/core.sock");

        hearing.before_change(&cluster).await;
        certificates.store(&nobody, 0).await.expect("certificate set");
        shown(&cluster, &certificates, Some(0)).await;
        each_core_alone(&mut cluster, &certificates, Some(0)).await;

        hearing.before_change(&cluster).await;
        nobody.json(&["certificate", "clear"]).await.expect("certificate clear");
        shown(&cluster, &certificates, None).await;
        each_core_alone(&mut cluster, &certificates, None).await;
        hearing.end(&cluster);
    }
}

/// Until both Edges show it, or refuse to show any.
async fn shown(cluster: &Cluster, certificates: &Certificates, number: Option<usize>) {
    for edge in &cluster.edges {
        let what = format!("{} shows certificate {number:?}", edge.name);
        eventually(&what, FOLLOWED_WITHIN, || async {
            let shown = handshake(edge.https, Arc::clone(&certificates.trusted)).await.ok();
            let shown = shown.as_ref().and_then(|stream| stream.get_ref().1.peer_certificates()?.first());
            shown == number.map(|number| certificates.der(number))
        })
        .await
        .unwrap_or_else(|error| panic!("{error:#}"));
    }
}

/// What a Core sends to an Edge that begins is what it holds in memory.
async fn each_core_alone(cluster: &mut Cluster, certificates: &Certificates, number: Option<usize>) {
    for alone in 0..2 {
        let other = if alone == 0 { &cluster.beside[0] } else { &cluster.core };
        other.signal("STOP").expect("SIGSTOP");
        let edge = &mut cluster.edges[0];
        edge.process.kill().expect("kill edge-1");
        edge.process.start_again().expect("start edge-1");
        edge.ready(true, START_LIMIT).await.expect("edge-1 is ready");
        shown(cluster, certificates, number).await;
        let other = if alone == 0 { &cluster.beside[0] } else { &cluster.core };
        other.signal("CONT").expect("SIGCONT");
        for core in cluster.cores() {
            core.connected(2, START_LIMIT).await.expect("both dial both");
        }
    }
}
