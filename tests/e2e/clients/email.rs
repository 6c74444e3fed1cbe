//! A second factor by mail, set up in the wizard of the older desktop.

use postern_tests::{
    clients::{Cli, EMAIL, LegacyDesktop},
    enrollment::PASSWORD,
};

use super::Organisation;

#[tokio::test]
async fn codes_by_mail_are_set_up_and_let_a_person_in() {
    let site = Organisation::start().await;
    let token = site.cluster.invite("joe").await.expect("a person is invited");
    let mut desktop = LegacyDesktop::new(&site.cluster.public_url());
    desktop.start(&token).await.expect("start");
    assert_eq!(desktop.start_factor("Email").await.expect("code/start"), None, "no seed");
    let code = site.outside.code_for("joe@example.org", 0).await.expect("a mail");
    desktop.finish_factor("Email", &code).await.expect("code/finish");
    let instance = desktop.create_device("laptop").await.expect("create_device");
    desktop.activate_user(PASSWORD).await.expect("activate_user");

    let office = instance.named("Office").expect("a location").clone();
    let mut logins = desktop.logins(&instance);
    let login = logins.start(&office, EMAIL).await.expect("client-mfa/start");
    let code = site.outside.code_for("joe@example.org", 1).await.expect("a mail");
    logins.finish(&login, &code).await.expect("client-mfa/finish");

    let mut cli = Cli::new(&instance);
    let login = cli.logins().start(&office, EMAIL).await.expect("client-mfa/start");
    let code = site.outside.code_for("joe@example.org", 2).await.expect("a mail");
    cli.logins().finish(&login, &code).await.expect("client-mfa/finish");
}
