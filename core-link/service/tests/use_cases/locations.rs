//! Changing and removing locations.

use postern_core::location::{
    self, ChangeForm, ChangeLocationError, FindLocationError, InvalidLocation, Location, LocationChange, MfaMode,
    Removed,
};

use crate::support::{Core, cli, configured, key, new_device, poll, polled};

async fn change(core: &Core, name: &'static str, form: ChangeForm) -> Result<Location, ChangeLocationError> {
    let change = LocationChange::try_from(form).unwrap();
    core.store.write(move |tx| Box::pin(async move { location::change(tx, name, &change, &cli()).await })).await
}

async fn remove(core: &Core, name: &'static str) -> Result<Removed, FindLocationError> {
    core.store.write(move |tx| Box::pin(async move { location::remove(tx, name, &cli()).await })).await
}

#[tokio::test]
async fn only_what_is_named_changes_and_polls_bring_it() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    let device = configured(core.ask(new_device(&token, "laptop", &key(1))).await);
    let before = device.configs[0].clone();
    let form = ChangeForm {
        endpoint: Some("vpn2.example.org:51821".to_owned()),
        dns: Some(Vec::new()),
        ..ChangeForm::default()
    };
    let changed = change(&core, "Office", form).await.unwrap();
    assert_eq!((changed.endpoint.as_str(), changed.dns.as_deref()), ("vpn2.example.org:51821", None));
    let after = polled(core.ask(poll(&device.token.unwrap())).await).configs[0].clone();
    assert_eq!((after.endpoint.as_str(), after.dns.as_deref()), ("vpn2.example.org:51821", None));
    assert_eq!(
        (after.network_name, after.pubkey, after.assigned_ip, after.allowed_ips, after.keepalive_interval),
        (before.network_name, before.pubkey, before.assigned_ip, before.allowed_ips, before.keepalive_interval)
    );
}

#[tokio::test]
async fn everything_but_the_ranges_can_change() {
    let core = Core::with_joe().await;
    let form = ChangeForm {
        name: Some(" Headquarters ".to_owned()),
        endpoint: Some("[fd00::1]:51820".to_owned()),
        public_key: Some(key(9)),
        allowed_ips: Some(vec!["10.20.0.7/16".parse().unwrap(), "fd00::/64".parse().unwrap()]),
        dns: Some(vec!["10.20.0.1".parse().unwrap()]),
        mfa_mode: Some(MfaMode::Disabled),
        keepalive_seconds: Some(0),
    };
    let changed = change(&core, "Office", form).await.unwrap();
    let listed = core.store.read(|tx| Box::pin(location::list(tx))).await.unwrap();
    assert_eq!(listed[0].location, changed);
    assert_eq!(listed[0].ranges, ["10.10.0.0/24"]);
    assert_eq!((changed.name.as_str(), changed.allowed_ips.as_str()), ("Headquarters", "10.20.0.0/16,fd00::/64"));
    assert_eq!(
        core.activity().await.last().unwrap(),
        &format!(
            "location_changed done Office name: Headquarters; endpoint: [fd00::1]:51820; public key: {}; \
             allowed IPs: 10.20.0.0/16,fd00::/64; DNS: 10.20.0.1; MFA: disabled; keepalive: 0",
            key(9)
        )
    );
}

#[tokio::test]
async fn a_name_that_another_location_has_is_refused_and_its_own_is_not() {
    let core = Core::with_joe().await;
    core.add_location("Lab", &["10.11.0.0/24"]).await;
    let named = |name: &str| ChangeForm { name: Some(name.to_owned()), ..ChangeForm::default() };
    assert!(matches!(change(&core, "Lab", named("Office")).await, Err(ChangeLocationError::Taken { .. })));
    change(&core, "Lab", named("Lab")).await.unwrap();
    let unknown = change(&core, "Moon", named("Mars")).await;
    assert!(matches!(unknown, Err(ChangeLocationError::Find(FindLocationError::Unknown { .. }))));
}

#[test]
fn a_change_is_checked_before_it_is_stored() {
    let check = |form| LocationChange::try_from(form).map(drop);
    let default = ChangeForm::default;
    assert_eq!(check(default()), Ok(()));
    for name in ["", " ", "a\nb", &"ü".repeat(65)] {
        let form = ChangeForm { name: Some(name.to_owned()), ..default() };
        assert_eq!(check(form), Err(InvalidLocation::Name), "{name:?}");
    }
    for endpoint in ["", "vpn.example.org", "host:51820\nPostUp = x"] {
        let form = ChangeForm { endpoint: Some(endpoint.to_owned()), ..default() };
        assert_eq!(check(form), Err(InvalidLocation::Endpoint), "{endpoint:?}");
    }
    let form = ChangeForm { public_key: Some("nonsense".to_owned()), ..default() };
    assert_eq!(check(form), Err(InvalidLocation::PublicKey));
    let form = ChangeForm { dns: Some(vec!["10.0.0.1".parse().unwrap(); 65]), ..default() };
    assert_eq!(check(form), Err(InvalidLocation::TooMany));
}

#[tokio::test]
async fn a_removed_location_takes_its_addresses_along_and_nothing_else() {
    let core = Core::with_joe().await;
    core.add_location("Lab", &["10.11.0.0/24", "fd00:11::/64"]).await;
    let token = core.session("joe").await;
    let device = configured(core.ask(new_device(&token, "laptop", &key(1))).await);
    assert_eq!(device.configs.len(), 2);
    let removed = remove(&core, "Lab").await.unwrap();
    assert_eq!((removed.name.as_str(), removed.devices, removed.hosts), ("Lab", 1, 0));
    let configs = polled(core.ask(poll(&device.token.unwrap())).await).configs;
    assert_eq!(configs.iter().map(|config| config.network_name.as_str()).collect::<Vec<_>>(), ["Office"]);
    assert!(matches!(remove(&core, "Lab").await, Err(FindLocationError::Unknown { .. })));
    assert_eq!(core.activity().await.last().unwrap(), "location_removed done Lab devices: 1, of them hosts: 0");
    core.add_location("Lab", &["10.11.0.0/24"]).await;
}
