//! Sessions go on where they were while Core restarts and Edges die between the steps.

use postern_tests::{
    Authenticator, Cluster,
    clients::{Dg, LegacyDesktop, Mobile, Polled, TOTP},
    enrollment::PASSWORD,
};

use super::Person;
use crate::whole_way::kill_and_start_an_edge;

/// Between any two steps: Core is killed and started again, then an Edge.
struct Trouble<'a> {
    cluster: &'a mut Cluster,
    gap: usize,
}

#[tokio::test]
async fn an_enrollment_and_a_login_on_a_desktop_go_on() {
    let mut cluster = Cluster::start().await.expect("the cluster starts");
    let token = cluster.invite("joe").await.expect("a person is invited");
    let mut desktop = LegacyDesktop::new(&cluster.public_url());
    let mut trouble = Trouble { cluster: &mut cluster, gap: 0 };
    desktop.start(&token).await.expect("start");
    trouble.strikes().await;
    let seed = desktop.start_factor("Totp").await.expect("code/start").expect("a seed");
    trouble.strikes().await;
    let app = Authenticator::new(&seed).expect("an authenticator app");
    desktop.finish_factor("Totp", &app.code_before().await.expect("a code")).await.expect("code/finish");
    trouble.strikes().await;
    let instance = desktop.create_device("laptop").await.expect("create_device");
    trouble.strikes().await;
    desktop.activate_user(PASSWORD).await.expect("activate_user");
    trouble.strikes().await;
    assert_eq!(desktop.poll(&instance).await.expect("poll"), Polled::Configured(instance.locations.clone()));
    let office = instance.location(2).expect("a location").clone();
    let login = desktop.logins(&instance).start(&office, TOTP).await.expect("client-mfa/start");
    trouble.strikes().await;
    desktop.logins(&instance).finish(&login, &app.code()).await.expect("client-mfa/finish");
}

#[tokio::test]
async fn an_enrollment_of_a_phone_and_of_a_host_go_on() {
    let mut cluster = Cluster::start().await.expect("the cluster starts");
    cluster.commands().add_location("Open", 78, "disabled").await.expect("location add");
    let added = cluster.cli(&["device", "add", "printer", "--location", "Open"]).await.expect("device add");
    Person::enroll(&cluster, "joe").await;
    let token = cluster.commands().token_for("joe").await.expect("one more token");
    let (mut phone, mut dg) = (Mobile::new(&cluster.public_url()).expect("a phone"), Dg::new(&cluster.public_url()));
    let mut trouble = Trouble { cluster: &mut cluster, gap: 0 };
    phone.start(&token).await.expect("start of a phone");
    dg.start(added["token"].as_str().expect("a token")).await.expect("start of a host");
    trouble.strikes().await;
    let instance = phone.create_device("phone").await.expect("create_device of a phone");
    trouble.strikes().await;
    let host = dg.create_device().await.expect("create_device of a host");
    trouble.strikes().await;
    phone.poll(&instance).await.expect("poll of a phone");
    dg.poll(&host).await.expect("poll of a host");
}

impl Trouble<'_> {
    async fn strikes(&mut self) {
        self.cluster.restart_core().await.expect("core is back");
        kill_and_start_an_edge(self.cluster, self.gap % 2).await;
        self.gap += 1;
    }
}
