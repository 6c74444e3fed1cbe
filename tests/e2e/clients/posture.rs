//! Newer clients tell how their machine is, where a location asks.

use postern_tests::clients::NewDesktop;

use super::{Organisation, Person, with_a_phone};

/// WireGuard takes it for none.
const NO_PRESHARED_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

#[tokio::test]
async fn a_desktop_and_a_phone_connect_where_posture_is_asked_for() {
    let site = Organisation::start().await;
    let joe = Person::enroll(&site.cluster, "joe").await;
    let (mut phone, phones) = with_a_phone(&site.cluster, "joe").await;
    let mut desktop = NewDesktop::new(&site.cluster.public_url());
    let open = joe.instance.named("Open").expect("a location").clone();
    assert!(open.needs_posture, "{open:?}");
    let keys = [
        desktop.connect_with_posture(&joe.instance, &open).await.expect("posture/connect of a desktop"),
        phone.connect_with_posture(&phones, &open).await.expect("posture/connect of a phone"),
    ];
    assert!(keys.iter().all(|key| key == NO_PRESHARED_KEY), "a report opens nothing and shuts nobody out: {keys:?}");
    for device in site.cluster.cli(&["device", "list"]).await.expect("device list").as_array().expect("a list") {
        let reported = site.cluster.cli(&["device", "posture", &device["id"].to_string()]).await.expect("posture");
        assert!(reported.to_string().contains("Debian GNU/Linux"), "{reported}");
    }
}
