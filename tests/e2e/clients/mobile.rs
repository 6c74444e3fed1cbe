//! The app on a phone.

use postern_tests::{
    Cluster,
    clients::{BIOMETRIC, Cli, LegacyDesktop, MOBILE_APPROVE, Polled, TOTP},
};

use super::{Person, steps, with_a_phone};

#[tokio::test]
async fn a_phone_joins_registers_its_key_polls_and_logs_in_with_a_code_and_with_a_finger() {
    let cluster = Cluster::start().await.expect("the cluster starts");
    let joe = Person::enroll(&cluster, "joe").await;
    let (mut phone, instance) = with_a_phone(&cluster, "joe").await;
    let polled = phone.poll(&instance).await.expect("poll");
    assert_eq!(polled, Polled::Configured(instance.locations.clone()));
    let office = instance.location(2).expect("a location").clone();
    let login = phone.start_login(&instance, &office, TOTP).await.expect("client-mfa/start");
    phone.finish_login(&instance, &login, &joe.app.code()).await.expect("client-mfa/finish");
    let login = phone.start_login(&instance, &office, BIOMETRIC).await.expect("client-mfa/start");
    let signature = phone.sign(&login).expect("a challenge");
    let key = phone.finish_login(&instance, &login, &signature).await.expect("client-mfa/finish");
    let peers = cluster.cli_text(&["location", "peers", "Office", "--format", "wg"]).await.expect("location peers");
    assert!(peers.contains(&key), "{peers}");
    let order = ["enrollment/start", "enrollment/create_device", "enrollment/register_mobile", "poll"];
    assert_eq!(steps(&phone.caller)[..4], order);
}

#[tokio::test]
async fn a_phone_says_yes_for_a_desktop_and_for_the_command_line() {
    let cluster = Cluster::start().await.expect("the cluster starts");
    let Person { instance, .. } = Person::enroll(&cluster, "joe").await;
    let (mut phone, _) = with_a_phone(&cluster, "joe").await;
    let office = instance.location(2).expect("a location").clone();
    let (mut desktop, mut cli) = (LegacyDesktop::new(&cluster.public_url()), Cli::new(&instance));
    for mut logins in [desktop.logins(&instance), cli.logins()] {
        let login = logins.start(&office, MOBILE_APPROVE).await.expect("client-mfa/start");
        let waiting = logins.wait_for_phone(&login).await.expect("a websocket");
        let shown = logins.qr_code(&login).expect("a QR code");
        phone.approve(&instance.proxy_url, &shown).await.expect("client-mfa/finish-remote");
        let key = logins.key_of(waiting).await.expect("a key");
        let peers = cluster.cli_text(&["location", "peers", "Office", "--format", "wg"]).await.expect("location peers");
        assert!(peers.contains(&key), "{peers}");
    }
}
