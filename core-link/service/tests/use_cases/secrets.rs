//! What must never be readable.

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
    let content = core.at_rest().await;
    for secret in secrets {
        let found = content.windows(secret.len()).any(|part| part == secret);
        assert!(!found, "the database holds {:?}", String::from_utf8_lossy(secret));
    }
    assert!(content.windows(6).any(|part| part == b"laptop"), "the search finds what is in the clear");
}
