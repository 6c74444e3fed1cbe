//! Hosts: devices that belong to nobody.

use postern_core::{
    device::{self, AddHostError, NextStep},
    location::FindLocationError,
};

use crate::support::{
    Core, DAY, SESSION, START, activate, assert_refused, configured, existing_device, hosts::token, key, new_device,
    poll, polled, refused, start, started,
};

#[tokio::test]
async fn a_host_enrolls_as_the_stock_tool_does() {
    let core = with_open_location().await;
    let token = core.token_of_host("web-1").await;

    let session = started(core.ask(start(&token)).await);
    assert_eq!(session.deadline_timestamp, START + SESSION);
    assert_eq!(session.instance.unwrap().username, "web-1");
    let user = session.user.unwrap();
    assert_eq!((user.login.as_str(), user.email.as_str(), user.first_name.as_str()), ("web-1", "", ""));
    assert_eq!((user.enrolled, user.is_active, user.is_admin), (true, true, false));
    assert_eq!((user.device_names, user.last_name, user.phone_number), (vec!["web-1".to_owned()], String::new(), None));

    let reply = configured(core.ask(new_device(&token, "", &key(1))).await);
    let device = reply.device.clone().unwrap();
    assert_eq!((device.name.as_str(), device.pubkey, device.user_id), ("web-1", key(1), 0));
    let [config] = &reply.configs[..] else { panic!("exactly one location") };
    assert_eq!((config.network_name.as_str(), config.assigned_ip.as_str()), ("Servers", "10.30.0.2,fd00:30::2"));
    assert!(!config.mfa_enabled);
    assert_eq!(reply.instance.clone().unwrap().username, "web-1");

    let setup = polled(core.ask(poll(reply.token.as_deref().unwrap())).await);
    assert_eq!((setup.device, setup.configs, setup.instance), (reply.device, reply.configs, reply.instance));
}

#[tokio::test]
async fn a_host_that_lost_the_answer_asks_again_with_the_same_key() {
    let core = with_open_location().await;
    let token = core.host_session("web-1").await;
    let first = configured(core.ask(new_device(&token, "", &key(1))).await);
    let again = configured(core.ask(new_device(&token, "", &key(1))).await);
    let updated = configured(core.ask(existing_device(&token, &key(1))).await);
    assert_eq!((&first.device, &first.configs), (&again.device, &again.configs));
    assert_eq!((first.device, first.configs), (updated.device, updated.configs));
    for reply in [again.token, updated.token] {
        assert_ne!(first.token, reply);
        core.ask(poll(&reply.unwrap())).await.unwrap();
    }
    assert_refused(core.ask(new_device(&token, "", &key(2))).await, 3, "invalid key");
    core.wait(SESSION);
    assert_refused(core.ask(new_device(&token, "", &key(1))).await, 16, "Session expired");
}

#[tokio::test]
async fn a_host_gets_no_key_or_device_of_anybody_else() {
    let core = with_open_location().await;
    core.add_person("joe").await;
    let joe = core.session("joe").await;
    core.ask(new_device(&joe, "laptop", &key(1))).await.unwrap();
    let other = core.host_session("web-2").await;
    core.ask(new_device(&other, "", &key(2))).await.unwrap();
    let host = core.host_session("web-1").await;
    for taken in [key(1), key(2)] {
        assert_refused(core.ask(new_device(&host, "", &taken)).await, 3, "invalid key");
        assert_refused(core.ask(existing_device(&host, &taken)).await, 16, "token does not match device");
    }
    assert_refused(core.ask(existing_device(&joe, &key(2))).await, 16, "token does not match device");
    assert_refused(core.ask(new_device(&joe, "laptop", &key(2))).await, 3, "invalid key");
    assert_refused(core.ask(new_device(&host, "", "nonsense")).await, 3, "invalid pubkey");
    core.ask(new_device(&host, "", &key(3))).await.unwrap();
}

#[tokio::test]
async fn a_hosts_name_is_what_the_administrator_chose() {
    let core = with_open_location().await;
    let token = core.host_session("web-1").await;
    let reply = configured(core.ask(new_device(&token, "mallory", &key(1))).await);
    assert_eq!(reply.device.unwrap().name, "web-1");
    assert_eq!(refused(core.ask(new_device(&token, "web\n1", &key(1))).await).0, 3);
}

#[tokio::test]
async fn the_token_of_a_person_does_not_enroll_a_host() {
    let core = with_open_location().await;
    core.add_person("joe").await;
    let joe = core.session("joe").await;
    let (code, text) = refused(core.ask(new_device(&joe, "", &key(1))).await);
    assert_eq!(code, 3);
    assert!(text.contains("a person's") && text.contains("postern-core device add"), "{text}");
    assert!(core.devices().await.is_empty());
}

#[tokio::test]
async fn a_host_is_nobody_to_activate() {
    let core = with_open_location().await;
    let token = core.host_session("web-1").await;
    assert_refused(core.ask(activate(&token, crate::support::PASSWORD)).await, 7, "invalid token");
    assert_eq!(core.activity().await.pop().unwrap(), "activate_user refused host web-1 this token is a host's");
    core.ask(new_device(&token, "", &key(1))).await.unwrap();
}

#[tokio::test]
async fn a_new_token_ends_the_old_one_and_keeps_the_address() {
    let core = with_open_location().await;
    let old = core.host_session("web-1").await;
    let before = core.devices().await;
    let new = core.host_session("web-1").await;
    assert_refused(core.ask(start(&old)).await, 16, "invalid token");
    assert_refused(core.ask(new_device(&old, "", &key(1))).await, 16, "invalid token");
    assert_eq!(core.devices().await[0].addresses, before[0].addresses);
    assert_eq!(core.devices().await.len(), 1);
    core.ask(new_device(&new, "", &key(1))).await.unwrap();
}

#[tokio::test]
async fn a_hosts_token_lives_a_day() {
    let core = with_open_location().await;
    let token = core.token_of_host("web-1").await;
    core.wait(DAY - 1);
    core.ask(start(&token)).await.unwrap();
    let late = core.token_of_host("web-2").await;
    core.wait(DAY);
    assert_refused(core.ask(start(&late)).await, 16, "token expired");
}

#[tokio::test]
async fn with_its_key_a_host_is_complete_at_once() {
    let core = with_open_location().await;
    let waiting = core.token_of_host("web-1").await;
    let NextStep::Connect { config } = core.add_host("web-1", "Servers", Some(key(1))).await.unwrap().next else {
        panic!("no token is needed")
    };
    assert!(config.contains("PrivateKey = YOUR_PRIVATE_KEY\nAddress = 10.30.0.2,fd00:30::2\n"), "{config}");
    assert_refused(core.ask(start(&waiting)).await, 16, "invalid token");
    let [host] = &core.devices().await[..] else { panic!("one host") };
    assert_eq!((host.name.as_str(), host.login.as_deref(), host.public_key.as_ref()), ("web-1", None, Some(&key(1))));
}

#[tokio::test]
async fn what_cannot_be_a_host_is_refused_without_a_trace() {
    let core = with_open_location().await;
    core.add_location("Office", &["10.10.0.0/24"]).await;
    core.add_location_without_mfa("Lab", &["10.40.0.0/30"]).await;
    core.add_host("web-1", "Servers", Some(key(1))).await.unwrap();
    core.add_host("web-2", "Servers", None).await.unwrap();
    core.add_host("lab-1", "Lab", None).await.unwrap();
    let before = (core.devices().await.len(), core.activity().await);

    let unknown = core.add_host("web-3", "Nowhere", None).await.unwrap_err();
    assert!(matches!(unknown, AddHostError::Location(FindLocationError::Unknown { .. })));
    assert!(matches!(core.add_host("web-3", "Office", None).await, Err(AddHostError::AsksForFactor { .. })));
    assert!(matches!(core.add_host("web-1", "Servers", None).await, Err(AddHostError::Taken { .. })));
    assert!(matches!(core.add_host("web-2", "Lab", None).await, Err(AddHostError::Elsewhere { .. })));
    assert!(matches!(core.add_host("web-3", "Servers", Some(key(1))).await, Err(AddHostError::KeyTaken)));
    assert!(matches!(core.add_host("web-2", "Servers", Some(key(1))).await, Err(AddHostError::KeyTaken)));
    assert!(matches!(core.add_host("lab-2", "Lab", None).await, Err(AddHostError::NoAddress { .. })));

    assert_eq!((core.devices().await.len(), core.activity().await), before);
}

#[tokio::test]
async fn of_fifty_tokens_asked_for_at_once_one_is_left() {
    let core = with_open_location().await;
    let asked = (0..50).map(|_| core.add_host("web-1", "Servers", None));
    let tokens: Vec<String> =
        futures::future::join_all(asked).await.into_iter().map(|added| token(added.unwrap())).collect();
    let starts = futures::future::join_all(tokens.iter().map(|token| core.ask(start(token)))).await;
    assert_eq!(starts.iter().filter(|reply| reply.is_ok()).count(), 1);
    assert_eq!(core.devices().await.len(), 1);
}

#[tokio::test]
async fn of_fifty_keys_shown_at_once_a_host_keeps_one() {
    let core = with_open_location().await;
    let token = core.host_session("web-1").await;
    let replies =
        futures::future::join_all((1..=50).map(|number| core.ask(new_device(&token, "", &key(number))))).await;
    let (taken, refused): (Vec<_>, Vec<_>) = replies.into_iter().partition(Result::is_ok);
    assert_eq!((taken.len(), refused.len()), (1, 49));
    for reply in refused {
        assert_refused(reply, 3, "invalid key");
    }
}

#[tokio::test]
async fn a_new_location_is_for_peoples_devices_only() {
    let core = with_open_location().await;
    core.add_person("joe").await;
    let joe = core.session("joe").await;
    core.ask(new_device(&joe, "laptop", &key(1))).await.unwrap();
    let host = core.host_session("web-1").await;
    let polling = configured(core.ask(new_device(&host, "", &key(2))).await).token.unwrap();
    // One address only: enough for the one device of a person.
    core.add_location_without_mfa("Small", &["10.50.0.0/30"]).await;
    assert_eq!(polled(core.ask(poll(&polling)).await).configs.len(), 1);
    let [laptop, host] = &core.devices().await[..] else { panic!("two devices") };
    assert_eq!((laptop.addresses.len(), host.addresses.len()), (3, 2));
}

#[tokio::test]
async fn a_removed_host_is_gone_and_its_name_and_address_are_free() {
    let core = with_open_location().await;
    let token = core.host_session("web-1").await;
    let polling = configured(core.ask(new_device(&token, "", &key(1))).await).token.unwrap();
    core.remove_device(1).await;
    assert_refused(core.ask(poll(&polling)).await, 7, "invalid token");
    assert_refused(core.ask(new_device(&token, "", &key(1))).await, 16, "invalid token");
    let again = core.host_session("web-1").await;
    core.remove_device(2).await;
    assert_refused(core.ask(start(&again)).await, 16, "invalid token");
    assert!(core.devices().await.is_empty());
    let last = &core.activity().await[4..];
    assert!(last.contains(&"device_removed done host web-1 device 1 (web-1)".to_owned()), "{last:?}");
}

#[tokio::test]
async fn a_host_may_have_the_name_of_a_person_and_is_told_from_them() {
    let core = with_open_location().await;
    core.add_person("joe").await;
    let token = core.host_session("joe").await;
    core.ask(new_device(&token, "", &key(1))).await.unwrap();
    let rows = core.activity().await;
    assert!(rows.contains(&"host_added done host joe location Servers".to_owned()), "{rows:?}");
    assert_eq!(rows.last().unwrap(), "new_device done host joe device 1 (joe)");
    let of_joe = core.store.read(|tx| Box::pin(device::list(tx, Some("joe")))).await.unwrap();
    assert!(of_joe.is_empty());
}

#[tokio::test]
async fn an_enrolling_host_survives_a_restart_between_any_two_steps() {
    let core = with_open_location().await;
    let token = core.token_of_host("web-1").await;
    let core = core.restart().await;
    core.ask(start(&token)).await.unwrap();
    let core = core.restart().await;
    let reply = configured(core.ask(new_device(&token, "", &key(1))).await);
    let core = core.restart().await;
    core.ask(poll(&reply.token.unwrap())).await.unwrap();
}

async fn with_open_location() -> Core {
    let core = Core::start().await;
    core.add_location_without_mfa("Servers", &["10.30.0.0/24", "fd00:30::/64"]).await;
    core
}
