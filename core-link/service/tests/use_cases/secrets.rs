//! What must never be readable.

use std::{fs, os::unix::fs::PermissionsExt as _};

use postern_core::session_keys;

use crate::support::{Core, PASSWORD, activate, configured, key, new_device, start};

#[tokio::test]
async fn the_database_holds_no_secret_in_the_clear() {
    let core = Core::with_joe().await;
    let token = core.invite("joe").await;
    core.ask_as("operation-canary-1", start(&token)).await.unwrap();
    let made = configured(core.ask_as("operation-canary-2", new_device(&token, "laptop", &key(1))).await);
    core.ask_as("operation-canary-3", activate(&token, PASSWORD)).await.unwrap();
    let ring = session_keys::ring(&core.store).await.unwrap();
    let polling = made.token.unwrap();
    let secrets: [&[u8]; 5] =
        [token.as_bytes(), polling.as_bytes(), PASSWORD.as_bytes(), ring.primary.key.as_slice(), b"operation-canary"];
    let path = core.database();
    for name in ["core.db", "core.db-wal"] {
        let content = fs::read(path.with_file_name(name)).unwrap();
        for secret in secrets {
            let found = content.windows(secret.len()).any(|part| part == secret);
            assert!(!found, "{name} holds {:?}", String::from_utf8_lossy(secret));
        }
    }
    let both = [fs::read(&path).unwrap(), fs::read(path.with_file_name("core.db-wal")).unwrap()].concat();
    assert!(both.windows(6).any(|part| part == b"laptop"), "the search finds what is in the clear");
}

#[tokio::test]
async fn the_database_and_its_side_files_are_private() {
    let core = Core::with_joe().await;
    for name in ["core.db", "core.db-wal", "core.db-shm"] {
        let mode = fs::metadata(core.database().with_file_name(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}
