//! What changes between the start and the finish of a login.

use super::support::{LOGIN, OFFICE, STEP, begin_login, end_login, login_token, passed};
use crate::support::{Core, assert_refused};

#[tokio::test]
async fn a_disabled_person_gets_in_no_more() {
    let (core, joe) = Core::with_member().await;
    let token = core.begin(&joe.key).await;
    core.execute("UPDATE people SET disabled_at = 1").await;
    assert_refused(core.ask(end_login(&token, &core.code(&joe.seed))).await, 16, "unauthorized");
    assert_refused(core.ask(end_login(&token, &joe.recovery_codes[0])).await, 16, "unauthorized");
    assert_eq!(core.count("SELECT COUNT(*) FROM authorisations").await, 0);
    assert_eq!(core.count("SELECT COUNT(*) FROM recovery_codes WHERE used_at IS NOT NULL").await, 0);
}

#[tokio::test]
async fn a_removed_device_has_no_login() {
    let (core, joe) = Core::with_member().await;
    let token = core.begin(&joe.key).await;
    core.remove_device(joe.device).await;
    assert_refused(core.ask(end_login(&token, &core.code(&joe.seed))).await, 3, "login session not found");
}

#[tokio::test]
async fn a_device_that_lost_its_address_is_not_let_in() {
    let (core, joe) = Core::with_member().await;
    let token = core.begin(&joe.key).await;
    core.execute("DELETE FROM device_addresses").await;
    assert_refused(core.ask(end_login(&token, &core.code(&joe.seed))).await, 16, "unauthorized");
}

#[tokio::test]
async fn a_location_that_changed_its_mode_takes_no_code() {
    let (core, joe) = Core::with_member().await;
    let token = core.begin(&joe.key).await;
    core.execute("UPDATE locations SET mfa_mode = 'external'").await;
    assert_refused(core.ask(end_login(&token, &core.code(&joe.seed))).await, 16, "unauthorized");
    core.execute("UPDATE locations SET mfa_mode = 'disabled'").await;
    assert_refused(core.ask(end_login(&token, &core.code(&joe.seed))).await, 3, "MFA not enabled for location");
    core.execute("UPDATE locations SET mfa_mode = 'internal'").await;
    passed(core.ask(end_login(&token, &core.code(&joe.seed))).await);
}

#[tokio::test]
async fn a_reset_ends_logins_and_what_they_opened() {
    let (core, joe) = Core::with_member().await;
    passed(core.show(&joe, &core.code(&joe.seed)).await);
    let token = core.begin(&joe.key).await;
    core.wait(STEP);
    core.reset_mfa("joe").await;
    assert_refused(core.ask(end_login(&token, &core.code(&joe.seed))).await, 3, "login session not found");
    for table in [
        "SELECT COUNT(*) FROM authorisations",
        "SELECT COUNT(*) FROM authenticators",
        "SELECT COUNT(*) FROM recovery_codes",
    ] {
        assert_eq!(core.count(table).await, 0, "{table}");
    }
}

#[tokio::test]
async fn a_restart_of_core_loses_no_login() {
    let (core, joe) = Core::with_member().await;
    let token = core.begin(&joe.key).await;
    let core = core.restart().await;
    passed(core.ask(end_login(&token, &core.code(&joe.seed))).await);
}

#[tokio::test]
async fn a_repeated_finish_gets_the_reply_of_the_first() {
    let (core, joe) = Core::with_member().await;
    let finish = end_login(&core.begin(&joe.key).await, &core.code(&joe.seed));
    let first = passed(core.ask_as("one", finish.clone()).await);
    let core = core.restart().await;
    assert_eq!(passed(core.ask_as("one", finish.clone()).await), first, "though the login is gone by now");
    assert_refused(core.ask_as("two", finish).await, 3, "login session not found");
}

#[tokio::test]
async fn a_repeated_start_gets_the_same_login() {
    let (core, joe) = Core::with_member().await;
    let first = login_token(core.ask_as("one", begin_login(OFFICE, &joe.key)).await);
    assert_eq!(login_token(core.ask_as("one", begin_login(OFFICE, &joe.key)).await), first);
    assert_eq!(core.count("SELECT COUNT(*) FROM mfa_sessions").await, 1);
}

#[tokio::test]
async fn logins_that_are_long_over_are_forgotten() {
    let (core, joe) = Core::with_member().await;
    core.begin(&joe.key).await;
    core.wait(LOGIN + 600);
    let swept = async {
        while core.count("SELECT COUNT(*) FROM mfa_sessions").await > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), swept).await.expect("the sweeper runs every two seconds");
}
