//! Who the mail server must be, and who we are to it.

use postern_tests::mail_sink::{Authority, Demands, Encryption, Manner};

use crate::scene::Scene;

fn login() -> Option<(String, String)> {
    Some(("core".to_owned(), "Canary-mail-password".to_owned()))
}

#[tokio::test]
async fn mails_go_by_tls_or_starttls_and_with_a_password() {
    let authority = Authority::new().expect("an authority");
    for encryption in [Encryption::Tls(authority.clone()), Encryption::StartTls(authority.clone())] {
        let scene = Scene::start_with(Demands { encryption, login: login() }, &[]).await.expect("a scene");
        scene.invite("joe").await.expect("joe");
        let mails = scene.arrived("joe").await.expect("it arrives");
        assert!(mails[0].was_encrypted);
    }
}

#[tokio::test]
async fn a_server_with_a_strangers_certificate_is_told_nothing() {
    let authority = Authority::new().expect("an authority");
    for encryption in [Encryption::Tls(authority.clone()), Encryption::StartTls(authority.clone())] {
        let distrust = [("OUTBOUND_CA_FILE", String::new())];
        let scene = Scene::start_with(Demands { encryption, login: login() }, &distrust).await.expect("a scene");
        let error = scene.mailer.test("joe@example.org").await.expect_err("it is nobody's");
        let text = format!("{:#}", anyhow::Error::from(error));
        assert!(text.contains("certificate"), "{text}");
        assert_eq!(scene.sink.mails().len(), 0);
    }
}

#[tokio::test]
async fn without_starttls_on_offer_nothing_is_sent_in_the_clear() {
    let changed = [("SMTP_ENCRYPTION", "starttls".to_owned())];
    let scene = Scene::start_with(Demands::default(), &changed).await.expect("a scene");
    scene.mailer.test("joe@example.org").await.expect_err("the server knows no STARTTLS");
    assert_eq!(scene.sink.mails().len(), 0);
}

#[tokio::test]
async fn a_wrong_password_is_named_and_gives_no_mail_up() {
    let scene =
        Scene::start_with(Demands { encryption: Encryption::None, login: login() }, &[]).await.expect("a scene");
    scene.mailer.test("joe@example.org").await.expect("the right one");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("password");
    std::fs::write(&file, "wrong").expect("a file");
    let changed = [("SMTP_PASSWORD_FILE", file.display().to_string())];
    let demands = Demands { encryption: Encryption::None, login: login() };
    let scene = Scene::start_with(demands, &changed).await.expect("a scene");
    let error = scene.mailer.test("joe@example.org").await.expect_err("the wrong one");
    let text = format!("{:#}", anyhow::Error::from(error));
    assert!(text.starts_with("the mail server refused with 535"), "{text}");
    assert!(!text.contains("Canary") && !text.contains("wrong"), "{text}");
}

#[tokio::test]
async fn a_test_says_what_the_server_says() {
    let scene = Scene::start().await.expect("a scene");
    scene.mailer.test("joe@example.org").await.expect("it takes a mail");
    assert_eq!(scene.sink.mails()[0].to, ["joe@example.org"]);
    scene.sink.behave(Manner::RefuseRecipient(550));
    let error = scene.mailer.test("joe@example.org").await.expect_err("it takes none");
    let text = format!("{:#}", anyhow::Error::from(error));
    assert!(text.contains("550") && text.contains("not here"), "{text}");
    scene.mailer.test("no address").await.expect_err("this is none");
}
