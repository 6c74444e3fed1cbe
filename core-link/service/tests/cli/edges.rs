//! Commands about Edges, against an Edge that behaves as the test wants.

use std::{
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use postern_core_link::testing::{FakeEdge, Manner};
use serde_json::json;

use crate::core::{Folder, code, error_of, until};

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_is_added_listed_disabled_enabled_and_removed() {
    let (folder, edge) = (Folder::new(), FakeEdge::unadopted(Manner::Ours).await);
    let core = folder.serve();
    let address = edge.address().to_string();

    let added = core.json(&format!("edge add {address} --name north"));
    assert_eq!(added, json!({ "id": 1, "name": "north", "address": address }));

    until("the Edge is connected", || core.json("edge list")[0]["state"] == "connected");
    let mut listed = core.json("edge list")[0].take();
    assert!(listed["since"].take().as_str().unwrap().ends_with('Z'));
    let announced = postern_proto::version::ANNOUNCED;
    assert_eq!(
        listed,
        json!({
            "id": 1, "name": "north", "address": address, "enabled": true, "state": "connected", "since": null,
            "version": env!("CARGO_PKG_VERSION"), "announced_version": announced, "certificate_days_left": 1824,
            "last_error": null,
        })
    );

    assert_eq!(core.json("edge disable north"), json!({ "id": 1, "name": "north", "enabled": false }));
    assert_eq!(core.json("edge list")[0]["state"], "disabled");
    assert_eq!(core.json("edge enable 1"), json!({ "id": 1, "name": "north", "enabled": true }));
    until("the Edge is connected again", || core.json("edge list")[0]["state"] == "connected");

    assert_eq!(core.json("edge remove north"), json!({ "id": 1, "name": "north", "purged": true, "note": null }));
    assert_eq!(core.json("edge list"), json!([]));
    assert!(!edge.is_adopted());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stock_edge_shows_what_it_announced_and_no_version_of_ours() {
    let (folder, edge) = (Folder::new(), FakeEdge::unadopted(Manner::Announces("2.1.0+abcdef0")).await);
    let core = folder.serve();
    core.json(&format!("edge add {}", edge.address()));
    until("the Edge is connected", || core.json("edge list")[0]["state"] == "connected");
    let listed = core.json("edge list")[0].take();
    assert_eq!([&listed["version"], &listed["announced_version"]], ["-", "2.1.0+abcdef0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_running_core_an_edge_is_offline_and_its_removal_says_what_is_left() {
    let (folder, edge) = (Folder::new(), FakeEdge::unadopted(Manner::Ours).await);
    let core = folder.serve();
    core.json(&format!("edge add {} --name north", edge.address()));
    core.terminate();

    assert_eq!(folder.json("edge list")[0]["state"], "offline");
    let removed = folder.json("edge remove north");
    assert_eq!(removed["purged"], false);
    assert!(removed["note"].as_str().unwrap().contains("postern-edge reset"));
    assert!(edge.is_adopted());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_that_was_adopted_without_a_running_core_is_dialled_by_the_next() {
    let (folder, edge) = (Folder::new(), FakeEdge::unadopted(Manner::Ours).await);
    folder.serve().terminate();
    folder.json(&format!("edge add {}", edge.address()));
    let core = folder.serve();
    until("the Edge is connected", || core.json("edge list")[0]["state"] == "connected");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_adoption_shows_what_the_edge_logged() {
    let (folder, edge) = (Folder::new(), FakeEdge::unadopted(Manner::IgnoresCalls).await);
    let core = folder.serve();
    let refused = core.run(&format!("edge add {} --json", edge.address()));
    assert_eq!(code(&refused), 1);
    let error = error_of(&refused);
    assert!(error.contains("GetCsr") && error.contains("its log:"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_core_at_once_whatever_is_in_flight() {
    let (folder, mut edge) = (Folder::new(), FakeEdge::unadopted(Manner::Hangs).await);
    let mut core = folder.serve();
    let (ended, end) = mpsc::channel();
    let line = format!("edge add {}", edge.address());
    thread::scope(|scope| {
        scope.spawn(|| ended.send(folder.run(&line)));
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(edge.dials(1)));
        core.signal();
        core.logs("core is stopping");
        let begun = Instant::now();
        core.signal();
        assert_eq!(core.wait(), Some(1));
        assert!(begun.elapsed() < Duration::from_secs(2));
        assert_eq!(code(&end.recv().unwrap()), 1);
    });
}
