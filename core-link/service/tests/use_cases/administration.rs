//! What admins do.

use postern_core::{
    enrollment::InviteError,
    location::{InvalidLocation, LocationForm, MfaMode, NewLocation},
    person::{self, AddPersonError, FindPersonError},
};

use crate::support::{Core, key, new_device};

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
