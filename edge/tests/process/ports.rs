//! A port that somebody else has, for a moment or for good.

use std::net::TcpListener;

use postern_edge::testing::free_address;

use crate::{Edge, get};

#[test]
fn a_taken_port_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let address = free_address().to_string();
    let _taken = TcpListener::bind(&address).unwrap();
    let mut edge = Edge::start(folder.path(), &["--metrics-listen", &address]);
    assert_eq!(edge.exit().code(), Some(1));
    let log = edge.log();
    assert!(log.contains(&format!("cannot listen on {address} for metrics")), "{log}");
    assert_eq!(log.matches("trying again").count(), 1, "{log}");
}

#[test]
fn a_port_that_is_taken_for_a_moment_is_had_when_it_is_free() {
    let folder = tempfile::tempdir().unwrap();
    let address = free_address();
    let taken = TcpListener::bind(address).unwrap();
    let mut edge = Edge::start(folder.path(), &["--metrics-listen", &address.to_string()]);
    edge.read_log_until(&format!("taken by somebody else: trying again for at most 5s address={address}"));
    drop(taken);
    edge.wait_until_it_listens();
    assert!(get(address, "/metrics").starts_with("HTTP/1.1 200 "));
}

#[test]
fn while_it_waits_for_a_port_it_stops_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let address = free_address().to_string();
    let _taken = TcpListener::bind(&address).unwrap();
    let mut edge = Edge::start(folder.path(), &["--metrics-listen", &address]);
    edge.read_log_until("trying again");
    edge.signal("TERM");
    assert_eq!(edge.exit().code(), Some(0));
}
