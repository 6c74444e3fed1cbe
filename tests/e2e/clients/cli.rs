//! The command-line client.

use postern_tests::{
    Cluster,
    clients::{Cli, TOTP},
};

use super::{Person, steps};

#[tokio::test]
async fn it_logs_in_for_the_desktops_instance() {
    let cluster = Cluster::start().await.expect("the cluster starts");
    let Person { instance, app, .. } = Person::enroll(&cluster, "joe").await;
    let office = instance.location(2).expect("a location").clone();
    let mut cli = Cli::new(&instance);
    let login = cli.logins().start(&office, TOTP).await.expect("client-mfa/start");
    let text = cli.logins().refused(&login, &app.wrong_code(), 401).await.expect("a refusal");
    assert_eq!(text, "unauthorized");
    cli.logins().finish(&login, &app.code()).await.expect("client-mfa/finish");
    assert_eq!(steps(&cli.caller), ["client-mfa/start", "client-mfa/finish", "client-mfa/finish"]);
}
