//! The desktop with its newer interface.

use postern_tests::{
    Cluster,
    clients::{NewDesktop, Polled, TOTP, new_desktop::Known},
};

use super::{Person, steps};

#[tokio::test]
async fn a_person_enrolls_and_gets_into_a_location() {
    let cluster = Cluster::start().await.expect("the cluster starts");
    let Person { mut desktop, instance, app } = Person::enroll(&cluster, "joe").await;
    let polled = desktop.poll(&instance).await.expect("poll");
    assert_eq!(polled, Polled::Configured(instance.locations.clone()));
    let office = instance.location(2).expect("a location with internal MFA").clone();
    let mut logins = desktop.logins(&instance);
    let login = logins.start(&office, TOTP).await.expect("client-mfa/start");
    logins.finish(&login, &app.code()).await.expect("client-mfa/finish");
    let order = [
        "enrollment/start",
        "enrollment/create_device",
        "enrollment/register-mfa/code/start",
        "enrollment/register-mfa/code/finish",
        "enrollment/activate_user",
        "poll",
        "client-mfa/start",
        "client-mfa/finish",
    ];
    assert_eq!(steps(&desktop.caller), order);
}

#[tokio::test]
async fn a_known_instance_is_updated_and_only_a_removed_device_is_deleted() {
    let mut cluster = Cluster::start().await.expect("the cluster starts");
    let joe = Person::enroll(&cluster, "joe").await;
    let token = cluster.commands().token_for("joe").await.expect("one more token");
    let mut desktop = NewDesktop::new(&cluster.public_url());
    assert!(desktop.start(&token).await.expect("start"), "has enrolled before");
    let known = desktop.network_info(&joe.instance).await.expect("network_info");
    let Known::Updated(updated) = known else { panic!("deleted: {known:?}") };
    assert_eq!(updated.locations, joe.instance.locations);

    cluster.core.kill().expect("kill core");
    for edge in 0..cluster.edges.len() {
        cluster.ready(edge, false, std::time::Duration::from_secs(5)).await.expect("the Edge has noticed");
    }
    let away = desktop.network_info(&joe.instance).await;
    assert!(away.is_err(), "without Core nothing is deleted: {away:?}");
    cluster.core.start_again().expect("start core");
    cluster.core_listens().await.expect("core listens");
    cluster.ready(0, true, std::time::Duration::from_secs(20)).await.expect("an Edge is ready");

    let devices = cluster.cli(&["device", "list"]).await.expect("device list");
    let id = devices[0]["id"].to_string();
    cluster.cli(&["device", "remove", &id]).await.expect("device remove");
    let known = desktop.network_info(&joe.instance).await.expect("network_info");
    assert!(matches!(known, Known::Deleted), "{known:?}");
}
