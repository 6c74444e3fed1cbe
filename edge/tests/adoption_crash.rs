//! A crash at any step of adoption or Purge leaves no identity or a whole one.
//!
//! Each test puts the folder into the state that a crash at that step leaves, and opens it again.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{fs, path::Path};

use postern_edge::{
    identity::{self, IdentityError, IdentityStore},
    testing::{FakeCore, adopted_edge, empty, eventually},
};
use tempfile::TempDir;

const FILES: [&str; 4] = ["proxy_grpc_cert.pem", "proxy_grpc_key.pem", "grpc_ca_cert.pem", "core_client_cert.pem"];

#[tokio::test]
async fn while_files_are_staged_there_is_no_identity() {
    let adopted = Adopted::new().await;
    for staged in 0..=FILES.len() {
        let folder = TempDir::new().unwrap();
        adopted.copy(&FILES[..staged], &folder.path().join(".staging"));
        let store = IdentityStore::open(folder.path()).unwrap();
        assert!(store.current().is_none(), "{staged} files staged");
        assert_eq!(names(folder.path()), [""; 0], "what was staged is gone");
    }
}

#[tokio::test]
async fn a_half_written_file_in_staging_is_no_identity() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join(".staging")).unwrap();
    fs::write(folder.path().join(".staging/proxy_grpc_key.pem"), "-----BEGIN PRIV").unwrap();
    assert!(IdentityStore::open(folder.path()).unwrap().current().is_none());
}

#[tokio::test]
async fn once_staging_is_complete_the_identity_is_whole_however_much_was_moved() {
    let adopted = Adopted::new().await;
    for moved in 0..=FILES.len() {
        let folder = TempDir::new().unwrap();
        adopted.copy(&FILES[moved..], &folder.path().join(".complete"));
        adopted.copy(&FILES[..moved], folder.path());
        let store = IdentityStore::open(folder.path()).unwrap();
        let identity = store.current().unwrap_or_else(|| panic!("{moved} files moved"));
        assert_eq!(identity.authority(), adopted.authority());
        assert_eq!(names(folder.path()).len(), FILES.len(), "nothing else is left");
    }
}

#[tokio::test]
async fn an_identity_that_was_rolled_forward_serves_tunnels() {
    let adopted = Adopted::new().await;
    let folder = TempDir::new().unwrap();
    adopted.copy(&FILES, &folder.path().join(".complete"));
    let edge = postern_edge::testing::TestEdge::start(folder.path());
    let _tunnel = adopted.core.connect(edge.address, |_| empty()).await;
    eventually("the edge is ready", || edge.registry.is_ready()).await;
}

#[tokio::test]
async fn a_purge_that_began_is_finished_however_much_was_deleted() {
    let adopted = Adopted::new().await;
    for deleted in 0..=FILES.len() {
        let folder = TempDir::new().unwrap();
        adopted.copy(&FILES[deleted..], folder.path());
        fs::write(folder.path().join(".purging"), "").unwrap();
        fs::write(folder.path().join("adopted_by_ca"), "0123\n").unwrap();
        let store = IdentityStore::open(folder.path()).unwrap();
        assert!(store.current().is_none(), "{deleted} files deleted");
        assert!(store.current().is_none());
        assert_eq!(std::fs::read_to_string(folder.path().join("adopted_by_ca")).unwrap(), "0123\n");
        assert_eq!(names(folder.path()), ["adopted_by_ca"]);
    }
}

#[tokio::test]
async fn an_edge_that_could_store_no_identity_does_not_start() {
    // Nobody can make a file there, not even root.
    assert!(matches!(IdentityStore::open("/proc"), Err(IdentityError::Folder { .. })));
}

#[tokio::test]
async fn an_incomplete_identity_stops_the_start() {
    let adopted = Adopted::new().await;
    for missing in FILES {
        let folder = TempDir::new().unwrap();
        adopted.copy(&FILES, folder.path());
        fs::remove_file(folder.path().join(missing)).unwrap();
        let error = IdentityStore::open(folder.path()).unwrap_err();
        assert!(matches!(error, IdentityError::Incomplete { missing: found, .. } if found == missing), "{error}");
    }
}

#[tokio::test]
async fn an_identity_that_cannot_be_read_stops_the_start() {
    let adopted = Adopted::new().await;
    for broken in FILES {
        let folder = TempDir::new().unwrap();
        adopted.copy(&FILES, folder.path());
        fs::write(folder.path().join(broken), "garbage").unwrap();
        assert!(IdentityStore::open(folder.path()).is_err(), "{broken}");
    }
}

#[tokio::test]
async fn a_certificate_beside_the_wrong_key_stops_the_start() {
    let (adopted, other) = (Adopted::new().await, Adopted::new().await);
    let folder = TempDir::new().unwrap();
    adopted.copy(&FILES, folder.path());
    other.copy(&["proxy_grpc_key.pem"], folder.path());
    assert!(matches!(IdentityStore::open(folder.path()), Err(IdentityError::Unusable { .. })));
}

#[tokio::test]
async fn a_key_that_anybody_may_read_is_taken_and_kept_from_others() {
    use std::os::unix::fs::PermissionsExt as _;
    let adopted = Adopted::new().await;
    let key = adopted.folder.path().join("proxy_grpc_key.pem");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(IdentityStore::open(adopted.folder.path()).unwrap().current().is_some());
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_reset_leaves_an_empty_folder_and_may_be_repeated() {
    let adopted = Adopted::new().await;
    fs::write(adopted.folder.path().join("adopted_by_ca"), "0123\n").unwrap();
    identity::reset(adopted.folder.path()).unwrap();
    assert_eq!(names(adopted.folder.path()), [""; 0]);
    identity::reset(adopted.folder.path()).unwrap();
    identity::reset(adopted.folder.path().join("missing")).unwrap();
}

/// The files of an edge that was adopted and stopped.
struct Adopted {
    core: FakeCore,
    folder: TempDir,
}

impl Adopted {
    async fn new() -> Self {
        let (core, folder) = (FakeCore::new(), TempDir::new().unwrap());
        adopted_edge(folder.path(), &core).await.stop().await;
        Self { core, folder }
    }

    fn authority(&self) -> identity::Fingerprint {
        identity::Fingerprint::of(self.core.authority().certificate())
    }

    fn copy(&self, files: &[&str], to: &Path) {
        fs::create_dir_all(to).unwrap();
        for name in files {
            fs::copy(self.folder.path().join(name), to.join(name)).unwrap();
        }
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}
