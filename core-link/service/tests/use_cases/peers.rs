//! Who may connect to a location.

use postern_core::{
    location::{self, ChangeForm, FindLocationError, LocationChange, MfaMode, Peers},
    person,
};

use crate::{
    mfa::support::{Member, end_login, passed},
    support::{AUTHORISATION, Core, assert_refused, cli, key, new_device},
};

pub(crate) async fn peers(core: &Core) -> Peers {
    core.store.read(|tx| Box::pin(async move { location::peers(tx, "Office").await })).await.unwrap()
}

/// Joe, enrolled, with a laptop of key 1 and a phone of key 2. Nobody logged in.
pub(crate) async fn office() -> (Core, Member) {
    let core = Core::start().await;
    core.add_person("joe").await;
    core.add_location("Office", &["10.10.0.0/24", "fd00:10::/64"]).await;
    let joe = core.enroll("joe", 1).await;
    let token = core.session("joe").await;
    core.ask(new_device(&token, "phone", &key(2))).await.unwrap();
    (core, joe)
}

/// Logs the laptop in; returns its preshared key.
pub(crate) async fn let_in(core: &Core, joe: &Member) -> String {
    passed(core.show_from(crate::mfa::support::HOME, joe, &core.code(&joe.seed)).await)
}

async fn set_mode(core: &Core, mode: MfaMode) {
    let change = LocationChange::try_from(ChangeForm { mfa_mode: Some(mode), ..ChangeForm::default() }).unwrap();
    let change =
        core.store.write(move |tx| Box::pin(async move { location::change(tx, "Office", &change, &cli()).await }));
    change.await.unwrap();
}

async fn keys(core: &Core) -> Vec<String> {
    peers(core).await.peers.into_iter().map(|peer| peer.public_key).collect()
}

#[tokio::test]
async fn without_mfa_every_device_is_a_peer_in_the_order_of_ids() {
    let (core, _) = office().await;
    set_mode(&core, MfaMode::Disabled).await;
    core.add_host("printer", "Office", Some(key(3))).await.unwrap();
    core.add_host("announced", "Office", None).await.unwrap();
    let expected = format!(
        "# Office: 3 peers\n\
         \n[Peer]\nPublicKey = {}\nAllowedIPs = 10.10.0.2/32,fd00:10::2/128\n\
         \n[Peer]\nPublicKey = {}\nAllowedIPs = 10.10.0.3/32,fd00:10::3/128\n\
         \n[Peer]\nPublicKey = {}\nAllowedIPs = 10.10.0.4/32,fd00:10::4/128\n",
        key(1),
        key(2),
        key(3)
    );
    assert_eq!(*peers(&core).await.wg_syncconf(), expected);
}

#[tokio::test]
async fn with_mfa_only_the_device_that_logged_in_is_a_peer_under_its_key() {
    let (core, joe) = office().await;
    assert_eq!(*peers(&core).await.wg_syncconf(), "# Office: 0 peers\n");
    let login = core.begin(&key(2)).await;
    let preshared_key = passed(core.ask(end_login(&login, &core.code(&joe.seed))).await);
    let expected = format!(
        "# Office: 1 peer\n\n[Peer]\nPublicKey = {}\nPresharedKey = {preshared_key}\n\
         AllowedIPs = 10.10.0.3/32,fd00:10::3/128\n",
        key(2)
    );
    assert_eq!(*peers(&core).await.wg_syncconf(), expected);
}

#[tokio::test]
async fn a_login_holds_to_the_second() {
    let (core, joe) = office().await;
    let_in(&core, &joe).await;
    core.wait(i64::try_from(AUTHORISATION).unwrap() - 1);
    assert_eq!(keys(&core).await, [key(1)]);
    core.wait(1);
    assert!(keys(&core).await.is_empty());
}

#[tokio::test]
async fn another_login_brings_another_key() {
    let (core, joe) = office().await;
    let first = let_in(&core, &joe).await;
    core.wait(60);
    let second = let_in(&core, &joe).await;
    assert_ne!(first, second);
    let text = peers(&core).await.wg_syncconf();
    assert!(text.contains(&second) && !text.contains(&first));
}

#[tokio::test]
async fn a_disabled_person_is_cut_off_and_no_login_survives_it() {
    let (core, joe) = office().await;
    let_in(&core, &joe).await;
    core.disable("joe").await;
    assert!(keys(&core).await.is_empty());
    set_mode(&core, MfaMode::Disabled).await;
    assert!(keys(&core).await.is_empty());
    set_mode(&core, MfaMode::Internal).await;
    assert!(keys(&core).await.is_empty());
}

#[tokio::test]
async fn another_mode_ends_logins_and_logins_under_way() {
    let (core, joe) = office().await;
    let_in(&core, &joe).await;
    set_mode(&core, MfaMode::Disabled).await;
    assert_eq!(keys(&core).await, [key(1), key(2)]);
    assert!(peers(&core).await.peers.iter().all(|peer| peer.authorisation.is_none()));
    set_mode(&core, MfaMode::Internal).await;
    assert!(keys(&core).await.is_empty());
}

#[tokio::test]
async fn the_same_mode_again_ends_nothing() {
    let (core, joe) = office().await;
    let_in(&core, &joe).await;
    set_mode(&core, MfaMode::Internal).await;
    assert_eq!(keys(&core).await, [key(1)]);
}

#[tokio::test]
async fn a_reset_factor_cuts_off_and_ends_logins_under_way() {
    let (core, joe) = office().await;
    let_in(&core, &joe).await;
    let reset = core.store.write(|tx| Box::pin(async move { person::reset_mfa(tx, "joe", &cli()).await }));
    reset.await.unwrap();
    assert!(keys(&core).await.is_empty());
}

#[tokio::test]
async fn a_removed_device_is_cut_off() {
    let (core, joe) = office().await;
    let_in(&core, &joe).await;
    core.remove_device(1).await;
    assert!(keys(&core).await.is_empty());
}

#[tokio::test]
async fn a_location_with_hosts_cannot_ask_for_a_second_factor() {
    let (core, _) = office().await;
    set_mode(&core, MfaMode::Disabled).await;
    core.add_host("printer", "Office", Some(key(3))).await.unwrap();
    let change = ChangeForm { mfa_mode: Some(MfaMode::Internal), ..ChangeForm::default() };
    let change = LocationChange::try_from(change).unwrap();
    let refused =
        core.store.write(move |tx| Box::pin(async move { location::change(tx, "Office", &change, &cli()).await }));
    let refused = refused.await.unwrap_err().to_string();
    assert_eq!(refused, "hosts are in this location (1), and a host cannot pass a second factor; remove them first");
}

#[tokio::test]
async fn a_removed_location_takes_its_hosts_along() {
    let (core, _) = office().await;
    set_mode(&core, MfaMode::Disabled).await;
    core.add_host("printer", "Office", Some(key(3))).await.unwrap();
    let remove = core.store.write(|tx| Box::pin(async move { location::remove(tx, "Office", &cli()).await }));
    let removed = remove.await.unwrap();
    assert_eq!((removed.devices, removed.hosts), (3, 1));
    assert_eq!(core.devices().await.len(), 2);
}

#[tokio::test]
async fn an_unknown_location_has_no_peers() {
    let (core, _) = office().await;
    let found = core.store.read(|tx| Box::pin(async move { location::peers(tx, "office").await })).await;
    assert!(matches!(found, Err(FindLocationError::Unknown { .. })));
}

#[tokio::test]
async fn nothing_shows_a_preshared_key() {
    let (core, joe) = office().await;
    let preshared_key = let_in(&core, &joe).await;
    let shown = format!("{:?}", peers(&core).await);
    assert!(!shown.contains(&preshared_key) && shown.contains("PresharedKey(***)"), "{shown}");
}

#[tokio::test]
async fn a_code_typed_while_the_mode_changed_is_refused() {
    let (core, joe) = office().await;
    let login = core.begin(&joe.key).await;
    set_mode(&core, MfaMode::Disabled).await;
    let finished = core.ask(end_login(&login, &core.code(&joe.seed))).await;
    assert_refused(finished, 3, "login session not found");
}
