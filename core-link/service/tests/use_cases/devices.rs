//! Devices and their addresses.

use postern_core::{
    device::{self, DeviceId},
    location::{self, AddLocationError},
};
use postern_proto::proxy::core_request;

use crate::support::{
    Core, START, assert_refused, cli, configured, existing_device, key, new_device, new_location, poll, polled,
};

#[tokio::test]
async fn a_new_device_gets_everything_it_needs() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    let reply = configured(core.ask(new_device(&token, " laptop ", &key(1))).await);
    let device = reply.device.unwrap();
    assert_eq!((device.name.as_str(), device.pubkey, device.created_at), ("laptop", key(1), START));
    let [config] = &reply.configs[..] else { panic!("one location") };
    assert_eq!((config.network_name.as_str(), config.assigned_ip.as_str()), ("Office", "10.10.0.2"));
    assert_eq!((config.mfa_enabled, config.location_mfa_mode, config.keepalive_interval), (true, Some(2), 25));
    let text = format!(
        "[Interface]\nPrivateKey = YOUR_PRIVATE_KEY\nAddress = 10.10.0.2\nDNS = 10.10.0.1\n\n[Peer]\nPublicKey = {}\n\
         AllowedIPs = 10.0.0.0/8\nEndpoint = 198.51.100.7:51820\nPersistentKeepalive = 25",
        key(255)
    );
    assert_eq!(config.config, text);
    assert_eq!(reply.token.unwrap().len(), 32);
}

#[tokio::test]
async fn a_device_that_is_asked_for_again_is_the_same_one_and_the_log_says_so() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    let [first, second] = [
        configured(core.ask(new_device(&token, "laptop", &key(1))).await),
        configured(core.ask(new_device(&token, "laptop", &key(1))).await),
    ];
    assert_eq!(first.device, second.device);
    let rows = core.activity().await;
    let ours: Vec<&str> = rows.iter().map(String::as_str).filter(|row| row.starts_with("new_device")).collect();
    assert_eq!(ours, ["new_device done joe device 1 (laptop)", "new_device done joe repeated"]);
}

#[tokio::test]
async fn a_device_has_an_address_in_each_range_of_each_location() {
    let core = Core::start().await;
    core.add_person("joe").await;
    core.add_location("Office", &["10.10.0.0/24", "fd00:10::/64"]).await;
    core.add_location("Lab", &["10.20.0.9/24"]).await;
    let token = core.session("joe").await;
    let reply = configured(core.ask(new_device(&token, "laptop", &key(1))).await);
    let addresses: Vec<&str> = reply.configs.iter().map(|config| config.assigned_ip.as_str()).collect();
    assert_eq!(addresses, ["10.10.0.2,fd00:10::2", "10.20.0.1"]);
    assert!(reply.configs[0].config.contains("Address = 10.10.0.2,fd00:10::2\n"));
}

#[tokio::test]
async fn the_same_session_key_and_name_is_the_same_device_with_a_fresh_polling_token() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    let first = configured(core.ask(new_device(&token, "laptop", &key(1))).await);
    let again = configured(core.ask(new_device(&token, "laptop", &key(1))).await);
    assert_eq!((first.device, &first.configs), (again.device, &again.configs));
    assert_ne!(first.token, again.token);
    core.ask(poll(&first.token.unwrap())).await.unwrap();
    core.ask(poll(&again.token.unwrap())).await.unwrap();
}

#[tokio::test]
async fn a_key_that_is_taken_is_refused() {
    let core = Core::with_joe().await;
    core.add_person("ann").await;
    let joe = core.session("joe").await;
    core.ask(new_device(&joe, "laptop", &key(1))).await.unwrap();
    assert_refused(core.ask(new_device(&joe, "other", &key(1))).await, 3, "invalid key");
    let later = core.session("joe").await;
    assert_refused(core.ask(new_device(&later, "laptop", &key(1))).await, 3, "invalid key");
    let ann = core.session("ann").await;
    assert_refused(core.ask(new_device(&ann, "laptop", &key(1))).await, 3, "invalid key");
}

#[tokio::test]
async fn of_two_people_with_one_key_one_gets_it() {
    let core = Core::with_joe().await;
    core.add_person("ann").await;
    let (joe, ann) = (core.session("joe").await, core.session("ann").await);
    let (one, other) =
        tokio::join!(core.ask(new_device(&joe, "laptop", &key(1))), core.ask(new_device(&ann, "laptop", &key(1))));
    assert_eq!([&one, &other].iter().filter(|reply| reply.is_ok()).count(), 1);
    assert_refused(if one.is_err() { one } else { other }, 3, "invalid key");
}

#[tokio::test]
async fn what_is_no_key_or_no_name_is_refused_without_a_trace() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    for bad in ["", "nonsense", "AAAA", &key(1)[..43]] {
        assert_refused(core.ask(new_device(&token, "laptop", bad)).await, 3, "invalid pubkey");
    }
    let (code, _) = crate::support::refused(core.ask(new_device(&token, " ", &key(1))).await);
    assert_eq!(code, 3);
    let core_request::Payload::NewDevice(mut body) = new_device(&token, "laptop", &key(1)) else { unreachable!() };
    body.token = None;
    assert_refused(core.ask(core_request::Payload::NewDevice(body)).await, 16, "Missing authorization header");
    let devices = core.store.read(|tx| Box::pin(device::list(tx, None))).await.unwrap();
    assert!(devices.is_empty());
}

#[tokio::test]
async fn a_used_up_range_is_refused_and_leaves_no_half_made_device() {
    let core = Core::start().await;
    core.add_person("joe").await;
    core.add_location("Wide", &["10.10.0.0/24"]).await;
    core.add_location("Narrow", &["10.20.0.0/29"]).await;
    let token = core.session("joe").await;
    for number in 1..=5 {
        core.ask(new_device(&token, "laptop", &key(number))).await.unwrap();
    }
    let refusal = "no free address in location Narrow; ask your administrator";
    assert_refused(core.ask(new_device(&token, "laptop", &key(6))).await, 3, refusal);
    let devices = core.store.read(|tx| Box::pin(device::list(tx, Some("joe")))).await.unwrap();
    assert_eq!(devices.len(), 5);
    assert_eq!(core.activity().await.pop().unwrap(), format!("new_device refused joe {refusal}"));
}

#[tokio::test]
async fn a_removed_devices_address_is_given_out_again_last() {
    let core = Core::start().await;
    core.add_person("joe").await;
    core.add_location("Narrow", &["10.20.0.0/29"]).await;
    let token = core.session("joe").await;
    let mut polling = String::new();
    for number in 1..=3 {
        let reply = configured(core.ask(new_device(&token, "laptop", &key(number))).await);
        if number == 1 {
            polling = reply.token.unwrap();
        }
    }
    let remove = |id| core.store.write(move |tx| Box::pin(async move { device::remove(tx, id, &cli()).await }));
    remove(DeviceId::new(1)).await.unwrap();
    assert_refused(core.ask(poll(&polling)).await, 7, "invalid token");
    let mut addresses = Vec::new();
    for number in 4..=6 {
        let reply = configured(core.ask(new_device(&token, "laptop", &key(number))).await);
        addresses.push(reply.configs[0].assigned_ip.clone());
    }
    assert_eq!(addresses, ["10.20.0.5", "10.20.0.6", "10.20.0.2"]);
    assert!(remove(DeviceId::new(1)).await.is_err());
}

#[tokio::test]
async fn two_hundred_devices_at_once_get_two_hundred_addresses() {
    let core = Core::start().await;
    core.add_location("Office", &["10.10.0.3/24"]).await;
    let mut tokens = Vec::new();
    for number in 0..4 {
        core.add_person(&format!("person{number}")).await;
        tokens.push(core.session(&format!("person{number}")).await);
    }
    let asked = (0..200_u8).map(|number| core.ask(new_device(&tokens[usize::from(number) / 50], "d", &key(number))));
    let replies = futures::future::join_all(asked).await;
    let mut addresses: Vec<String> =
        replies.into_iter().map(|reply| configured(reply).configs[0].assigned_ip.clone()).collect();
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), 200);
    assert!(!addresses.contains(&"10.10.0.3".to_owned()), "the gateway's address was given out");
}

#[tokio::test]
async fn one_person_cannot_use_up_every_address() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    for number in 0..64 {
        core.ask(new_device(&token, "laptop", &key(number))).await.unwrap();
    }
    assert_refused(
        core.ask(new_device(&token, "laptop", &key(64))).await,
        3,
        "too many devices; ask your administrator",
    );
}

#[tokio::test]
async fn a_new_location_reaches_the_devices_that_exist() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    let mut polling = Vec::new();
    for number in 1..=3 {
        let reply = configured(core.ask(new_device(&token, "laptop", &key(number))).await);
        polling.push(reply.token.unwrap());
    }
    core.add_location("Lab", &["10.20.0.2/24"]).await;
    let mut addresses = Vec::new();
    for token in &polling {
        addresses.push(polled(core.ask(poll(token)).await).configs[1].assigned_ip.clone());
    }
    assert_eq!(addresses, ["10.20.0.1", "10.20.0.3", "10.20.0.4"]);
    let next = configured(core.ask(new_device(&token, "laptop", &key(4))).await);
    assert_eq!(next.configs[1].assigned_ip, "10.20.0.5");
    let narrow = new_location("Narrow", &["10.30.0.0/30"]);
    let add = core.store.write(move |tx| Box::pin(async move { location::add(tx, &narrow, &cli()).await }));
    assert!(matches!(add.await, Err(AddLocationError::TooSmall { devices: 4, .. })));
    assert_eq!(core.store.read(|tx| Box::pin(location::list(tx))).await.unwrap().len(), 2);
}

#[tokio::test]
async fn an_existing_device_is_given_to_its_owner_only() {
    let core = Core::with_joe().await;
    core.add_person("ann").await;
    let joe = core.session("joe").await;
    let first = configured(core.ask(new_device(&joe, "laptop", &key(1))).await);
    let again = configured(core.ask(existing_device(&joe, &key(1))).await);
    assert_eq!((first.device, first.configs), (again.device, again.configs));
    assert_ne!(first.token, again.token);
    let ann = core.session("ann").await;
    assert_refused(core.ask(existing_device(&ann, &key(1))).await, 16, "token does not match device");
    assert_refused(core.ask(existing_device(&ann, &key(2))).await, 5, "device not found");
    assert_refused(core.ask(existing_device(&ann, "nonsense")).await, 3, "invalid pubkey");
    core.disable("joe").await;
    assert_refused(core.ask(existing_device(&joe, &key(1))).await, 7, "user is disabled");
}
