//! What becomes of a mail, whatever the mail server does.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use postern_tests::{eventually, mail_sink::Manner};

use crate::scene::{LIMIT, Scene};

#[tokio::test]
async fn a_mail_arrives_whole_and_nothing_in_it_is_a_header_of_its_own() {
    let scene = Scene::start().await.expect("a scene");
    scene.add("joe", "Jo\u{202e}e: \"Bcc\" <evil@example.org>, Łukasz {{ 7*7 }} <b>").await.expect("joe");
    scene.mail_invitation("joe").await.expect("an invitation");
    let mails = scene.arrived("joe").await.expect("it arrives");
    let mail = &mails[0];
    assert_eq!(
        (mail.from.as_str(), mail.to.as_slice()),
        ("vpn@example.org", ["joe@example.org".to_owned()].as_slice())
    );
    for name in ["From", "To", "Subject", "Message-ID", "Date", "Auto-Submitted", "Content-Type"] {
        let head = mail.text.split_once("\r\n\r\n").expect("a head and a body").0;
        let count = head.lines().filter(|line| line.starts_with(&format!("{name}: "))).count();
        assert_eq!(count, 1, "{name} in {head}");
    }
    for name in ["Bcc", "Cc", "Reply-To", "User-Agent"] {
        assert_eq!(mail.header(name), "");
    }
    assert_eq!(mail.header("To"), "joe@example.org");
    assert!(mail.header("Content-Type").starts_with("multipart/alternative"), "{}", mail.text);
}

#[tokio::test]
async fn a_recipient_who_is_refused_for_good_is_given_up_and_others_are_not() {
    let scene = Scene::start().await.expect("a scene");
    scene.sink.behave(Manner::RefuseRecipient(550));
    scene.invite("joe").await.expect("joe");
    assert_eq!(scene.given_up().await.expect("given up"), "joe invitation: the mail server refused with 550");
    scene.sink.behave(Manner::Take);
    scene.invite("ann").await.expect("ann");
    scene.arrived("ann").await.expect("ann's mail");
    scene.wait(3600);
    scene.invite("bob").await.expect("bob");
    scene.arrived("bob").await.expect("bob's mail");
    assert_eq!(scene.sink.mails().len(), 2, "joe's is not tried again");
}

#[tokio::test]
async fn what_the_server_says_about_a_mail_is_not_written_down() {
    let scene = Scene::start().await.expect("a scene");
    scene.sink.behave(Manner::RefuseMail(550));
    scene.invite("joe").await.expect("joe");
    let detail = scene.given_up().await.expect("given up");
    assert_eq!(detail, "joe invitation: the mail server refused with 550");
}

#[tokio::test]
async fn a_refusal_for_now_is_tried_again_with_the_same_message_id() {
    for manner in [Manner::RefuseRecipient(450), Manner::RefuseMail(421), Manner::CloseMidway, Manner::RefuseMail(535)]
    {
        let scene = Scene::start().await.expect("a scene");
        scene.sink.behave(manner);
        scene.invite("joe").await.expect("joe");
        eventually("a first attempt", LIMIT, || async { scene.sink.connections() > 0 }).await.expect("an attempt");
        scene.sink.behave(Manner::Take);
        assert_eq!(scene.sink.mails().len(), 0, "{manner:?}");
        let mails = scene.arrived_in_time("joe").await.expect("it arrives");
        assert_eq!(mails.len(), 1, "{manner:?}");
    }
}

#[tokio::test]
async fn a_mail_whose_taking_was_not_heard_of_comes_twice_under_one_message_id() {
    let scene = Scene::start().await.expect("a scene");
    scene.sink.behave(Manner::TakeWithoutWord);
    scene.invite("joe").await.expect("joe");
    scene.arrived("joe").await.expect("it arrives");
    scene.sink.behave(Manner::Take);
    let again = || async {
        scene.wait(1);
        scene.sink.mails().len() == 2
    };
    eventually("it comes again", LIMIT, again).await.expect("again");
    let ids: BTreeSet<String> = scene.sink.mails().iter().map(|mail| mail.header("Message-ID")).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
}

#[tokio::test]
async fn a_silent_server_holds_up_nobody_who_writes() {
    let scene = Scene::start().await.expect("a scene");
    scene.sink.behave(Manner::Silent);
    scene.invite("joe").await.expect("joe");
    eventually("it is being tried", LIMIT, || async { scene.sink.connections() > 0 }).await.expect("an attempt");
    let begun = Instant::now();
    for number in 0..20 {
        scene.invite(&format!("ann{number}")).await.expect("ann");
    }
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    scene.sink.behave(Manner::Take);
    for number in 0..20 {
        scene.arrived(&format!("ann{number}")).await.expect("it arrives");
    }
    scene.arrived_in_time("joe").await.expect("it arrives");
}

#[tokio::test]
async fn a_line_without_an_end_is_not_read_to_its_end() {
    let scene = Scene::start().await.expect("a scene");
    scene.sink.behave(Manner::Endless);
    let error = scene.mailer.test("joe@example.org").await.expect_err("it never ends");
    let text = format!("{:#}", anyhow::Error::from(error));
    assert!(text.contains("it says more than 262144 bytes"), "{text}");
}

#[tokio::test]
async fn a_mail_that_was_taken_is_not_sent_again_because_nobody_says_goodbye() {
    let scene = Scene::start().await.expect("a scene");
    scene.sink.behave(Manner::TakeWithoutGoodbye);
    scene.mailer.test("joe@example.org").await.expect("it is taken");
}

#[tokio::test]
async fn a_code_overtakes_what_is_worth_something_for_longer() {
    let scene = Scene::start().await.expect("a scene");
    scene.sink.behave(Manner::Silent);
    for number in 0..24 {
        scene.invite(&format!("ann{number}")).await.expect("ann");
    }
    let joe = scene.add("joe", "Joe").await.expect("joe");
    scene.mail_code(joe, Duration::from_secs(300)).await.expect("a code");
    scene.sink.behave(Manner::Take);
    scene.arrived("joe").await.expect("it arrives");
    let before = scene.sink.mails().iter().filter(|mail| mail.to != ["joe@example.org"]).count();
    assert!(before < 24 / 2, "{before} invitations were sent before it");
}

#[tokio::test]
async fn a_link_that_is_over_is_not_sent() {
    let scene = Scene::start().await.expect("a scene");
    scene.sink.behave(Manner::RefuseRecipient(450));
    scene.invite("joe").await.expect("joe");
    eventually("a first attempt", LIMIT, || async { scene.sink.connections() > 0 }).await.expect("an attempt");
    scene.wait(24 * 3600);
    assert_eq!(scene.given_up().await.expect("given up"), "joe invitation: it was too old to be sent");
    assert_eq!(scene.sink.mails().len(), 0);
}

#[tokio::test]
async fn two_deliverers_send_each_mail_once() {
    let mut scene = Scene::start().await.expect("a scene");
    scene.deliver();
    for number in 0..40 {
        scene.invite(&format!("ann{number}")).await.expect("ann");
    }
    for number in 0..40 {
        scene.arrived(&format!("ann{number}")).await.expect("it arrives");
    }
    scene.stop().await;
    assert_eq!(scene.sink.mails().len(), 40);
}

#[tokio::test]
async fn a_deliverer_that_is_told_to_stop_finishes_what_it_sends() {
    let mut scene = Scene::start().await.expect("a scene");
    scene.invite("joe").await.expect("joe");
    scene.arrived("joe").await.expect("it arrives");
    scene.stop().await;
    scene.invite("ann").await.expect("ann");
    scene.deliver();
    scene.stop().await;
    assert_eq!(scene.sink.mails().len(), 1, "after the end nothing is sent");
}
