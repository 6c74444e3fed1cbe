//! What admins do.

use postern_core::{
    enrollment::InviteError,
    location::{InvalidLocation, LocationForm, MfaMode, NewLocation},
    person::{self, AddPersonError, FindPersonError},
};

use crate::{
    mfa::support::AWAY,
    support::{Core, activate, cli, configured, key, new_device, poll, refused},
};

fn form(change: impl FnOnce(&mut LocationForm)) -> Result<(), InvalidLocation> {
    let mut form = LocationForm {
        name: "Office".to_owned(),
        endpoint: "vpn.example.org:51820".to_owned(),
        public_key: key(255),
        addresses: vec!["10.10.0.0/24".parse().unwrap()],
        allowed_ips: Vec::new(),
        dns: Vec::new(),
        mfa_mode: MfaMode::Disabled,
        keepalive_seconds: 25,
    };
    change(&mut form);
    NewLocation::try_from(form).map(drop)
}

#[tokio::test]
async fn logins_and_addresses_are_unique() {
    let core = Core::with_joe().await;
    assert!(matches!(core.try_add_person("joe").await, Err(AddPersonError::Taken)));
    core.add_person("ann").await;
}

#[tokio::test]
async fn the_list_says_who_enrolled_and_with_how_many_devices() {
    let core = Core::with_joe().await;
    core.add_person("ann").await;
    let token = core.session("joe").await;
    core.ask(new_device(&token, "laptop", &key(1))).await.unwrap();
    core.ask(crate::support::activate(&token, crate::support::PASSWORD)).await.unwrap();
    core.disable("ann").await;
    let people = core.store.read(|tx| Box::pin(person::list(tx))).await.unwrap();
    let shown: Vec<_> = people
        .iter()
        .map(|entry| (entry.person.login.as_str(), entry.person.is_enrolled, entry.person.is_disabled, entry.devices))
        .collect();
    assert_eq!(shown, [("ann", false, true, 0), ("joe", true, false, 1)]);
}

#[tokio::test]
async fn only_people_who_exist_and_are_not_disabled_are_invited() {
    let core = Core::with_joe().await;
    assert!(matches!(core.try_invite("ann").await, Err(InviteError::Find(FindPersonError::Unknown { .. }))));
    core.disable("joe").await;
    assert!(matches!(core.try_invite("joe").await, Err(InviteError::Disabled { .. })));
}

#[tokio::test]
async fn admin_acts_leave_rows() {
    let core = Core::with_joe().await;
    core.invite("joe").await;
    core.disable("joe").await;
    assert_eq!(
        core.activity().await,
        ["person_added done joe", "location_added done Office", "person_invited done joe", "person_disabled done joe"]
    );
}

#[tokio::test]
async fn the_list_says_who_has_a_factor_and_who_is_locked() {
    let (core, joe) = Core::with_member().await;
    core.add_person("ann").await;
    let shown = async || {
        let people = core.store.read(|tx| Box::pin(person::list(tx))).await.unwrap();
        people.into_iter().map(|entry| (entry.person.login, entry.has_factor, entry.is_locked)).collect::<Vec<_>>()
    };
    assert_eq!(shown().await, [("ann".to_owned(), false, false), ("joe".to_owned(), true, false)]);
    while !shown().await[1].2 {
        core.guess_from(AWAY, &joe).await;
        core.wait(3600);
    }
    let unlock = core.store.write(|tx| Box::pin(async move { person::unlock(tx, "joe", &cli()).await }));
    unlock.await.unwrap();
    assert_eq!(shown().await[1], ("joe".to_owned(), true, false));
    let reset = core.store.write(|tx| Box::pin(async move { person::reset_mfa(tx, "joe", &cli()).await }));
    reset.await.unwrap();
    assert_eq!(shown().await[1], ("joe".to_owned(), false, false));
    assert_eq!(
        core.activity().await[core.activity().await.len() - 2..],
        ["person_unlocked done joe", "mfa_reset done joe"]
    );
}

#[tokio::test]
async fn after_a_reset_a_fresh_token_sets_up_a_new_factor() {
    let (core, joe) = Core::with_member().await;
    let reset = core.store.write(|tx| Box::pin(async move { person::reset_mfa(tx, "joe", &cli()).await }));
    reset.await.unwrap();
    let token = core.session("joe").await;
    let seed = core.set_up_factor(&token).await;
    assert_ne!(seed, joe.seed);
    core.pass_login(&seed, &joe.key).await;
}

#[tokio::test]
async fn of_a_deleted_person_only_the_activity_stays() {
    let (core, joe) = Core::with_member().await;
    core.pass_login(&joe.seed, &joe.key).await;
    let token = core.session("joe").await;
    let before = core.activity().await;
    let delete = core.store.write(|tx| Box::pin(async move { person::delete(tx, "joe", &cli()).await }));
    assert_eq!(delete.await.unwrap(), 1);
    assert_eq!(core.activity().await[..before.len()], before);
    assert_eq!(core.activity().await[before.len()..], ["person_deleted done joe devices: 1"]);
    let left = core.count(
        "SELECT (SELECT COUNT(*) FROM people) + (SELECT COUNT(*) FROM devices) + (SELECT COUNT(*) FROM device_addresses)
              + (SELECT COUNT(*) FROM enrollment_tokens) + (SELECT COUNT(*) FROM polling_tokens)
              + (SELECT COUNT(*) FROM authenticators) + (SELECT COUNT(*) FROM recovery_codes)
              + (SELECT COUNT(*) FROM familiar_networks) + (SELECT COUNT(*) FROM mfa_sessions)
              + (SELECT COUNT(*) FROM authorisations)",
    );
    assert_eq!(left.await, 0);
    assert_eq!(refused(core.ask(poll(&joe.polling_token)).await), (7, "invalid token".to_owned()));
    assert_eq!(refused(core.ask(new_device(&token, "phone", &key(2))).await), (16, "invalid token".to_owned()));
}

#[tokio::test]
async fn addresses_of_a_deleted_person_rest_before_somebody_else_gets_them() {
    let core = Core::start().await;
    core.add_location("Office", &["10.10.0.0/29"]).await;
    for login in ["joe", "ann"] {
        core.add_person(login).await;
    }
    let token = core.session("joe").await;
    for number in 1..=4 {
        core.ask(new_device(&token, "laptop", &key(number))).await.unwrap();
    }
    let delete = core.store.write(|tx| Box::pin(async move { person::delete(tx, "joe", &cli()).await }));
    assert_eq!(delete.await.unwrap(), 4);
    let token = core.session("ann").await;
    let mut given = Vec::new();
    for number in 1..=5 {
        let made = configured(core.ask(new_device(&token, "laptop", &key(number))).await);
        given.push(made.configs[0].assigned_ip.clone());
    }
    assert_eq!(given, ["10.10.0.6", "10.10.0.2", "10.10.0.3", "10.10.0.4", "10.10.0.5"]);
}

#[tokio::test]
async fn a_deleted_login_can_be_given_again_and_inherits_nothing() {
    let (core, joe) = Core::with_member().await;
    let delete = core.store.write(|tx| Box::pin(async move { person::delete(tx, "joe", &cli()).await }));
    delete.await.unwrap();
    core.add_person("joe").await;
    let token = core.session("joe").await;
    let made = configured(core.ask(new_device(&token, "laptop", &joe.key)).await);
    assert_ne!(made.device.unwrap().id, joe.device);
    core.ask(activate(&token, "an0ther!passw-rd")).await.unwrap();
}

#[tokio::test]
async fn only_people_who_exist_can_be_unlocked_reset_and_deleted() {
    let core = Core::with_joe().await;
    let unlock = core.store.write(|tx| Box::pin(async move { person::unlock(tx, "ann", &cli()).await }));
    assert!(matches!(unlock.await, Err(FindPersonError::Unknown { .. })));
    let reset = core.store.write(|tx| Box::pin(async move { person::reset_mfa(tx, "ann", &cli()).await }));
    assert!(matches!(reset.await, Err(FindPersonError::Unknown { .. })));
    let delete = core.store.write(|tx| Box::pin(async move { person::delete(tx, "ann", &cli()).await }));
    assert!(matches!(delete.await, Err(FindPersonError::Unknown { .. })));
}

#[test]
fn a_location_is_checked_before_it_is_stored() {
    assert_eq!(form(|_| ()), Ok(()));
    assert_eq!(form(|form| form.name = " ".to_owned()), Err(InvalidLocation::Name));
    for endpoint in ["", "vpn.example.org", "vpn.example.org:0", "host:51820\nPostUp = x", "::1:51820", "a b:1", ":1"] {
        assert_eq!(form(|form| form.endpoint = endpoint.to_owned()), Err(InvalidLocation::Endpoint), "{endpoint:?}");
    }
    assert_eq!(form(|form| form.endpoint = "[fd00::1]:51820".to_owned()), Ok(()));
    assert_eq!(form(|form| form.public_key = "nonsense".to_owned()), Err(InvalidLocation::PublicKey));
    assert_eq!(form(|form| form.addresses.clear()), Err(InvalidLocation::NoRange));
    let overlapping = |form: &mut LocationForm| form.addresses.push("10.10.0.128/25".parse().unwrap());
    assert!(matches!(form(overlapping), Err(InvalidLocation::Overlap { .. })));
    let tiny = |form: &mut LocationForm| form.addresses = vec!["10.10.0.0/31".parse().unwrap()];
    assert!(matches!(form(tiny), Err(InvalidLocation::Range(_))));
}
