//! The one port that Core listens on, when somebody else has it.

use std::net::TcpListener;

use postern_core_link::testing::free_address;

use crate::core::Folder;

#[test]
fn a_core_whose_port_is_taken_names_it_and_starts_once_it_is_free() {
    let folder = Folder::new();
    let address = free_address().to_string();
    let taken = TcpListener::bind(&address).unwrap();
    let mut refused = folder.start_with_metrics_on(&address);
    refused.logs(&format!("cannot listen on {address} for metrics"));
    assert_eq!(refused.wait(), Some(1));
    drop(taken);
    let mut core = folder.start_with_metrics_on(&address);
    core.listens();
    core.terminate();
}
