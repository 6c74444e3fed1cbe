//! What the real `wg` does with the peers that Core lists, on an interface of a test.
//!
//! `wg` reaches interfaces that are no part of the kernel over /run/wireguard, so this needs root and wireguard-tools.

mod interface;

use std::process::{Command, Output};

use interface::Interface;

use crate::{
    peers::{let_in, office, peers},
    support::{AUTHORISATION, Core, key},
};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/wireguard/postern-peers");

/// The script as an administrator runs it, with a Core that answers what is given.
fn postern_peers(interface: &Interface, core: &[&str]) -> Output {
    Command::new(SCRIPT).args([interface.name(), "Office"]).args(core).output().unwrap()
}

#[track_caller]
fn apply(interface: &Interface, text: &str) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let done = postern_peers(interface, &["sh", "-c", "cat \"$0\"", file.path().to_str().unwrap()]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// `wg syncconf` by itself.
fn sync(interface: &Interface, text: &str) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let done = Command::new("wg").args(["syncconf", interface.name()]).arg(file.path()).status().unwrap();
    assert!(done.success());
}

async fn apply_peers(interface: &Interface, core: &Core) {
    apply(interface, &peers(core).await.wg_syncconf());
}

#[tokio::test]
async fn the_script_lets_in_who_logged_in_and_cuts_off_who_expired() {
    let (core, joe) = office().await;
    let interface = Interface::with_peer(&key(9));
    let preshared_key = let_in(&core, &joe).await;

    apply_peers(&interface, &core).await;
    let addresses = vec!["10.10.0.2/32".to_owned(), "fd00:10::2/128".to_owned()];
    assert_eq!(interface.peers(), [(key(1), preshared_key, addresses.clone())]);

    core.wait(60);
    let renewed = let_in(&core, &joe).await;
    apply_peers(&interface, &core).await;
    assert_eq!(interface.peers(), [(key(1), renewed, addresses)]);

    core.wait(AUTHORISATION.try_into().unwrap());
    apply_peers(&interface, &core).await;
    assert!(interface.peers().is_empty());
    assert!(interface.has_its_key_and_port());
}

#[tokio::test]
async fn a_peer_that_did_not_change_is_left_alone() {
    let (core, joe) = office().await;
    let interface = Interface::with_peer(&key(9));
    let_in(&core, &joe).await;
    apply_peers(&interface, &core).await;
    let before = interface.peers();
    apply_peers(&interface, &core).await;
    assert_eq!(interface.peers(), before);
    assert!(!interface.last_change().contains("remove=true"), "{}", interface.last_change());
}

#[test]
fn a_core_that_does_not_answer_changes_nothing() {
    let interface = Interface::with_peer(&key(9));
    for core in [&["false"][..], &["sh", "-c", "echo '[Peer]'; exit 255"], &["/nonexistent"]] {
        let refused = postern_peers(&interface, core);
        assert!(!refused.status.success());
    }
    assert_eq!(interface.peers().len(), 1);
    assert_eq!(interface.last_change(), "");
}

#[test]
fn the_last_peer_goes_too() {
    let interface = Interface::with_peer(&key(9));
    apply(&interface, "# Office: 0 peers\n");
    assert!(interface.peers().is_empty());
    assert!(interface.has_its_key_and_port());
}

#[test]
fn without_the_section_of_the_interface_wg_would_take_its_key_away() {
    let interface = Interface::with_peer(&key(9));
    sync(&interface, "# Office: 0 peers\n");
    assert!(!interface.has_its_key_and_port());
}
