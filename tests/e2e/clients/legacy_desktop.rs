//! The desktop with its older interface.

use postern_tests::{
    Authenticator, Cluster,
    clients::{LegacyDesktop, Polled, TOTP},
    enrollment::PASSWORD,
};

use super::{Person, steps, strict_cluster};

#[tokio::test]
async fn the_wizard_takes_a_person_from_the_token_to_a_location() {
    let cluster = strict_cluster().await;
    let token = cluster.invite("joe").await.expect("a person is invited");
    let mut desktop = LegacyDesktop::new(&cluster.public_url());
    let started = desktop.start(&token).await.expect("start");
    assert!(!started.is_enrolled && started.needs_second_factor, "{started:?}");
    desktop.info().await.expect("info");
    let seed = desktop.start_factor("Totp").await.expect("code/start").expect("a seed");
    let app = Authenticator::new(&seed).expect("an authenticator app");
    desktop.finish_factor("Totp", &app.code_before().await.expect("a code")).await.expect("code/finish");
    let instance = desktop.create_device("laptop").await.expect("create_device");
    desktop.activate_user(PASSWORD).await.expect("activate_user");
    let polled = desktop.poll(&instance).await.expect("poll");
    assert_eq!(polled, Polled::Configured(instance.locations.clone()));

    let office = instance.location(2).expect("a location with internal MFA").clone();
    let mut logins = desktop.logins(&instance);
    let login = logins.start(&office, TOTP).await.expect("client-mfa/start");
    let key = logins.finish(&login, &app.code()).await.expect("client-mfa/finish");
    let peers = cluster.cli_text(&["location", "peers", "Office", "--format", "wg"]).await.expect("location peers");
    assert!(peers.contains(&key), "{peers}");
    let order = [
        "enrollment/start",
        "info",
        "enrollment/register-mfa/code/start",
        "enrollment/register-mfa/code/finish",
        "enrollment/create_device",
        "enrollment/activate_user",
        "poll",
        "client-mfa/start",
        "client-mfa/finish",
    ];
    assert_eq!(steps(&desktop.caller), order);
}

#[tokio::test]
async fn an_enrolled_person_updates_a_known_instance_and_adds_a_desktop() {
    let cluster = Cluster::start().await.expect("the cluster starts");
    let joe = Person::enroll(&cluster, "joe").await;
    let token = cluster.commands().token_for("joe").await.expect("one more token");
    let mut desktop = LegacyDesktop::new(&cluster.public_url());
    let started = desktop.start(&token).await.expect("start");
    assert!(started.is_enrolled, "{started:?}");
    assert_eq!(started.instance_id, joe.instance.id, "known locally");
    let updated = desktop.network_info(&joe.instance).await.expect("network_info");
    assert_ne!(updated.polling_token, joe.instance.polling_token, "a fresh token");
    let second = desktop.create_device("second laptop").await.expect("create_device");
    for instance in [updated, second] {
        let polled = desktop.poll(&instance).await.expect("poll");
        assert_eq!(polled, Polled::Configured(joe.instance.locations.clone()));
    }
}

#[tokio::test]
async fn a_login_that_a_desktop_cannot_finish_says_why() {
    let cluster = Cluster::start().await.expect("the cluster starts");
    let Person { instance, app, .. } = Person::enroll(&cluster, "joe").await;
    let office = instance.location(2).expect("a location").clone();
    let mut desktop = LegacyDesktop::new(&cluster.public_url());
    let mut logins = desktop.logins(&instance);
    let login = logins.start(&office, TOTP).await.expect("client-mfa/start");
    assert_eq!(logins.refused(&login, &app.wrong_code(), 401).await.expect("a refusal"), "unauthorized");
    logins.finish(&login, &app.code()).await.expect("client-mfa/finish");
    let mut other = login.clone();
    other.token = "x".repeat(32);
    assert_eq!(logins.refused(&other, "123456", 400).await.expect("a refusal"), "login session not found");
}
