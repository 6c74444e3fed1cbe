//! Tokens that end before their time.

use postern_core::{
    device::{self, DeviceId, FindDeviceError},
    enrollment,
    person::FindPersonError,
};

use crate::support::{
    Core, DAY, PASSWORD, SESSION, activate, assert_refused, cli, configured, existing_device, key, new_device, poll,
    start,
};

#[tokio::test]
async fn revoked_enrollment_tokens_end_at_the_next_request() {
    let core = Core::with_joe().await;
    let (open, unused) = (core.session("joe").await, core.invite("joe").await);
    let made = configured(core.ask(new_device(&open, "laptop", &key(1))).await);
    assert_eq!(core.revoke("joe").await.unwrap(), 2);
    assert_refused(core.ask(start(&unused)).await, 16, "invalid token");
    assert_refused(core.ask(start(&open)).await, 16, "invalid token");
    assert_refused(core.ask(new_device(&open, "laptop", &key(1))).await, 16, "invalid token");
    assert_refused(core.ask(existing_device(&open, &key(1))).await, 16, "invalid token");
    assert_refused(core.ask(activate(&open, PASSWORD)).await, 16, "invalid token");
    core.ask(poll(&made.token.unwrap())).await.unwrap();
    core.session("joe").await;
}

#[tokio::test]
async fn a_stored_reply_is_not_given_out_under_a_revoked_token() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    core.ask_as("one", new_device(&token, "laptop", &key(1))).await.unwrap();
    core.revoke("joe").await.unwrap();
    assert_refused(core.ask_as("one", new_device(&token, "laptop", &key(1))).await, 16, "invalid token");
}

#[tokio::test]
async fn only_tokens_that_were_still_good_are_counted_and_ended() {
    let core = Core::with_joe().await;
    core.add_person("ann").await;
    let over = core.session("joe").await;
    core.wait(SESSION);
    let (mine, other) = (core.session("joe").await, core.session("ann").await);
    assert_eq!(core.revoke("joe").await.unwrap(), 1);
    assert_refused(core.ask(start(&mine)).await, 16, "invalid token");
    assert_refused(core.ask(new_device(&over, "laptop", &key(1))).await, 16, "Session expired");
    core.ask(start(&other)).await.unwrap();
    let late = core.invite("joe").await;
    core.wait(DAY);
    assert_eq!(core.revoke("joe").await.unwrap(), 0);
    assert_refused(core.ask(start(&late)).await, 16, "token expired");
    assert!(matches!(core.revoke("nobody").await, Err(FindPersonError::Unknown { .. })));
}

#[tokio::test]
async fn a_device_with_revoked_tokens_stays_and_can_be_handed_over_again() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    let first = configured(core.ask(new_device(&token, "laptop", &key(1))).await).token.unwrap();
    let second = configured(core.ask(existing_device(&token, &key(1))).await).token.unwrap();
    let other = configured(core.ask(new_device(&token, "phone", &key(2))).await).token.unwrap();
    assert_eq!(core.revoke_device(1).await.unwrap(), 2);
    for revoked in [first, second] {
        assert_refused(core.ask(poll(&revoked)).await, 7, "invalid token");
    }
    core.ask(poll(&other)).await.unwrap();
    let again = configured(core.ask(existing_device(&token, &key(1))).await);
    core.ask(poll(&again.token.unwrap())).await.unwrap();
    assert!(matches!(core.revoke_device(3).await, Err(FindDeviceError::Unknown { .. })));
}

#[tokio::test]
async fn a_host_loses_its_enrollment_token_too() {
    let core = Core::start().await;
    core.add_location_without_mfa("Servers", &["10.30.0.0/24"]).await;
    let waiting = core.token_of_host("web-1").await;
    assert_eq!(core.revoke_device(1).await.unwrap(), 1);
    assert_refused(core.ask(start(&waiting)).await, 16, "invalid token");
    let token = core.host_session("web-1").await;
    let polling = configured(core.ask(new_device(&token, "", &key(1))).await).token.unwrap();
    assert_eq!(core.revoke_device(1).await.unwrap(), 2);
    assert_refused(core.ask(poll(&polling)).await, 7, "invalid token");
    assert_refused(core.ask(new_device(&token, "", &key(1))).await, 16, "invalid token");
}

#[tokio::test]
async fn each_revocation_is_in_the_activity() {
    let core = Core::with_joe().await;
    core.add_location_without_mfa("Servers", &["10.30.0.0/24"]).await;
    core.invite("joe").await;
    core.revoke("joe").await.unwrap();
    core.token_of_host("web-1").await;
    core.revoke_device(1).await.unwrap();
    let rows = core.activity().await;
    assert!(rows.contains(&"enrollment_tokens_revoked done joe 1".to_owned()), "{rows:?}");
    assert_eq!(rows.last().unwrap(), "device_tokens_revoked done host web-1 1 of device 1 (web-1)");
}

impl Core {
    async fn revoke(&self, login: &'static str) -> Result<u64, FindPersonError> {
        self.store.write(move |tx| Box::pin(async move { enrollment::revoke(tx, login, &cli()).await })).await
    }

    async fn revoke_device(&self, id: i64) -> Result<u64, FindDeviceError> {
        let id = DeviceId::new(id);
        self.store.write(move |tx| Box::pin(async move { device::revoke_tokens(tx, id, &cli()).await })).await
    }
}
