//! What a person does goes through any Core, and takes effect once.

use postern_core::device;

use crate::{
    mfa::support::{end_login, passed},
    support::{Core, configured, key, new_device, poll, polled},
};

#[tokio::test]
async fn an_operation_sent_to_two_cores_at_once_has_one_effect_and_one_reply() {
    let here = Core::with_joe().await;
    let there = here.beside().await;
    let token = here.session("joe").await;
    for number in 1..20 {
        let (operation, ask) = (format!("operation-{number}"), || new_device(&token, "laptop", &key(number)));
        let replies = tokio::join!(here.ask_as(&operation, ask()), there.ask_as(&operation, ask()));
        assert_eq!(configured(replies.0), configured(replies.1), "down to the polling token");
    }
    let devices = here.store.read(|tx| Box::pin(device::list(tx, None))).await.unwrap();
    assert_eq!(devices.len(), 19);
}

#[tokio::test]
async fn a_login_begun_at_one_core_ends_at_another_and_its_code_counts_once() {
    let (here, joe) = Core::with_member().await;
    let there = here.beside().await;
    let code = here.code(&joe.seed);
    let token = here.begin(&joe.key).await;
    passed(there.ask(end_login(&token, &code)).await);
    assert!(here.show(&joe, &code).await.is_err());
}

#[tokio::test]
async fn cores_of_one_installation_are_told_apart_and_yet_are_one() {
    let here = Core::with_joe().await;
    let there = here.beside().await;
    assert_ne!(here.store.core(), there.store.core());
    let token = here.session("joe").await;
    let made = configured(there.ask(new_device(&token, "laptop", &key(1))).await);
    let mut instances = Vec::new();
    for core in [&here, &there] {
        let reply = core.ask(poll(made.token.as_deref().unwrap())).await;
        instances.push(polled(reply).instance.unwrap().id);
    }
    assert_eq!(instances[0], instances[1]);
}
