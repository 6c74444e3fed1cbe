//! Invitation and password reset through the whole system, with a client that sends hostile headers.

use std::time::Duration;

use postern_tests::{
    Client, Cluster, MailSink, Setup,
    enrollment::{PASSWORD, cookie_of, enroll},
    eventually,
    mail_sink::Manner,
};
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(30);
const OTHER: &str = "Canary-41bd-battery-staple!";

async fn cluster(sink: &MailSink) -> (Cluster, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let core_settings = sink.settings(folder.path()).expect("settings");
    let setup = Setup { core_settings, ..Setup::default() };
    (Cluster::start_with(setup).await.expect("the cluster starts"), folder)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_enrolls_with_a_mailed_token_and_chooses_a_new_password_with_a_mailed_link() {
    let sink = MailSink::start().await.expect("a mail server");
    let (cluster, _folder) = cluster(&sink).await;
    let public = format!("http://{}/", cluster.nginx.public);
    cluster.cli(&["user", "add", "joe", "--email", "joe@example.org"]).await.expect("joe");
    let invited = cluster.cli(&["user", "enroll", "joe", "--mail"]).await.expect("an invitation");
    assert_eq!((invited["mailed_to"].as_str(), &invited["token"]), (Some("joe@example.org"), &json!(null)));
    let mail = sink.mail("Your access to", LIMIT).await.expect("the invitation");
    assert!(mail.decoded().contains(&format!("{public}open-desktop?token=")), "{}", mail.text);
    let token = mail.value("token").expect("a token");
    enroll(&cluster.public(), &token).await.expect("joe enrolls");

    // NGINX writes some of these anew; an Edge that trusts it sees them all.
    for client in [cluster.public(), cluster.edges[0].client()] {
        let asked =
            hostile(client).post("/api/v1/password-reset/request", &json!({ "email": "joe@example.org" })).await;
        assert_eq!(asked.expect("an answer").status, 200);
    }
    let links = || sink.mails().into_iter().filter(|mail| mail.subject().contains("Choose a new password"));
    eventually("two links", LIMIT, || async { links().count() == 2 }).await.expect("one for each asking");
    for mail in links() {
        assert!(!mail.decoded().contains("evil") && !mail.decoded().contains("onerror"), "{}", mail.text);
        assert!(mail.decoded().contains(&format!("{public}password-reset?token=")), "{}", mail.text);
    }
    let mail = links().next().expect("a link");
    let link = mail.value("token").expect("a token");

    let started = cluster.public().post("/api/v1/password-reset/start", &json!({ "token": link })).await;
    let started = started.expect("an answer");
    assert_eq!((started.status, cookie_of(&started)), (200, None));
    let cookie = started.header("set-cookie").split(';').next().unwrap_or_default().to_owned();
    assert!(cookie.starts_with("defguard_proxy_password_reset="), "{cookie}");
    let with_cookie = cluster.public().with_header("cookie", &cookie);
    let reset = json!({ "password": OTHER });
    let done = with_cookie.post("/api/v1/password-reset/reset", &reset).await.expect("an answer");
    assert_eq!(done.status, 200, "{done:?}");
    let again = with_cookie.post("/api/v1/password-reset/reset", &json!({ "password": PASSWORD })).await;
    assert_eq!(again.expect("an answer").status, 401);
    sink.mail("was changed", LIMIT).await.expect("the news");
    for secret in [&token, &link, &OTHER.to_owned()] {
        assert!(!cluster.logs().contains(secret.as_str()), "a secret in a log");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_outlives_a_mail_server_that_is_away_and_a_core_that_ends() {
    let sink = MailSink::start().await.expect("a mail server");
    let (mut cluster, _folder) = cluster(&sink).await;
    sink.behave(Manner::RefuseMail(451));
    cluster.cli(&["user", "add", "joe", "--email", "joe@example.org"]).await.expect("joe");
    cluster.cli(&["user", "enroll", "joe", "--mail"]).await.expect("an invitation");
    let tried = || async { sink.connections() > 0 };
    eventually("a first attempt", LIMIT, tried).await.expect("an attempt");
    cluster.restart_core().await.expect("Core is back");
    sink.behave(Manner::Take);
    // A claim that died with its Core runs out after a minute.
    sink.mail("Your access to", Duration::from_secs(90)).await.expect("the invitation");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_administrator_learns_why_mail_does_not_work() {
    let sink = MailSink::start().await.expect("a mail server");
    let (cluster, _folder) = cluster(&sink).await;
    cluster.cli(&["mail", "test", "joe@example.org"]).await.expect("it works");
    sink.behave(Manner::RefuseRecipient(550));
    let error = cluster.cli(&["mail", "test", "joe@example.org"]).await.expect_err("it does not");
    assert!(format!("{error:#}").contains("550"), "{error:#}");

    let without = Cluster::start_with(Setup { edges: 1, ..Setup::default() }).await.expect("another cluster");
    without.cli(&["user", "add", "joe", "--email", "joe@example.org"]).await.expect("joe");
    for command in [&["mail", "test", "joe@example.org"][..], &["user", "enroll", "joe", "--mail"]] {
        let error = without.cli(command).await.expect_err("there is no mail server");
        assert!(format!("{error:#}").contains("no mail server is set"), "{error:#}");
    }
}

/// Names another host wherever a request can.
fn hostile(client: Client) -> Client {
    client
        .with_header("host", "evil.example")
        .with_header("x-forwarded-host", "evil.example")
        .with_header("x-forwarded-proto", "https")
        .with_header("forwarded", "host=evil.example")
        .with_header("user-agent", "<img src=x onerror=alert(1)> evil.example")
}
