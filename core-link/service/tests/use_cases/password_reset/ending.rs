//! What ends with a reset and what does not, and what ends a reset.

use super::{JOE, OTHER};
use crate::{
    mfa::support::end_login,
    support::{
        Core, assert_refused, cli,
        mails::{ask_reset, reset, start_reset},
        new_device,
    },
};
use postern_core::person;

#[tokio::test]
async fn a_reset_ends_what_rests_on_the_old_password() {
    let (core, joe) = Core::with_mailed_member().await;
    core.show(&joe, &core.code(&joe.seed)).await.unwrap();
    assert_eq!(core.count("SELECT COUNT(*) FROM authorisations").await, 1);
    let login = core.begin(&joe.key).await;
    let enrollment = core.session("joe").await;
    core.ask(ask_reset(JOE)).await.unwrap();
    let token = core.reset_session(JOE).await;
    core.ask(reset(&token, OTHER)).await.unwrap();

    assert_eq!(core.count("SELECT COUNT(*) FROM authorisations").await, 0);
    assert_refused(core.ask(end_login(&login, &core.code(&joe.seed))).await, 3, "login session not found");
    let device = new_device(&enrollment, "tablet", &crate::support::key(9));
    assert_refused(core.ask(device).await, 16, "invalid token");
    assert_eq!(core.count("SELECT COUNT(*) FROM password_resets").await, 1, "the one that was used");
    assert_eq!(core.kinds_of_mails().await, ["password_changed"], "links that were not sent are taken back");
}

#[tokio::test]
async fn a_reset_leaves_the_second_factor_and_the_device_alone() {
    let (core, joe) = Core::with_mailed_member().await;
    let token = core.reset_session(JOE).await;
    core.ask(reset(&token, OTHER)).await.unwrap();
    core.wait(30);
    core.show(&joe, &core.code(&joe.seed)).await.unwrap();
    core.wait(30);
    core.show(&joe, &joe.recovery_codes[0]).await.unwrap();
    core.ask(crate::support::poll(&joe.polling_token)).await.unwrap();
}

#[tokio::test]
async fn a_reset_forgives_no_failures_at_codes() {
    let (core, joe) = Core::with_mailed_member().await;
    let looked_at = core.guess_from(crate::mfa::support::AWAY, &joe).await;
    assert!(looked_at > 0);
    let token = core.reset_session(JOE).await;
    core.ask(reset(&token, OTHER)).await.unwrap();
    assert_eq!(core.guess_from(crate::mfa::support::AWAY, &joe).await, 0);
}

#[tokio::test]
async fn disabling_a_person_ends_links_sent_and_unsent() {
    let (core, _) = Core::with_mailed_member().await;
    let open = core.reset_session(JOE).await;
    core.ask(ask_reset(JOE)).await.unwrap();
    let unopened = core.mailed("password_reset", "token").await;
    core.disable("joe").await;
    assert_refused(core.ask(start_reset(&unopened)).await, 16, "invalid token");
    assert_refused(core.ask(start_reset(&open)).await, 7, "user disabled");
    assert_refused(core.ask(reset(&open, OTHER)).await, 7, "user disabled");
    assert_eq!(core.mails().await.len(), 0);
}

#[tokio::test]
async fn deleting_a_person_ends_links_and_mails() {
    let (core, _) = Core::with_mailed_member().await;
    let open = core.reset_session(JOE).await;
    let delete = core.store.write(|tx| Box::pin(async move { person::delete(tx, "joe", &cli()).await }));
    delete.await.unwrap();
    assert_refused(core.ask(reset(&open, OTHER)).await, 16, "invalid token");
    assert_eq!(core.count("SELECT COUNT(*) FROM mails").await, 0);
}
