//! Room for as many connections as the settings promise.

use std::process::Command;

use crate::Edge;

#[test]
fn it_takes_as_many_descriptors_as_its_connections_need() {
    let folder = tempfile::tempdir().unwrap();
    let mut starved = Command::new("/bin/sh");
    starved.env_clear().args(["-c", r#"ulimit -Sn 100; exec "$0" "$@""#, env!("CARGO_BIN_EXE_postern-edge")]);
    let mut edge = Edge::start_as(starved, folder.path(), &["--connections-max", "500", "--websockets-max", "100"]);
    edge.wait_until_it_listens();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", edge.child.id())).unwrap();
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    assert_eq!(files.split_whitespace().next(), Some("856"));
}
