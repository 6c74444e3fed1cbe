//! Two Cores deliver from one outbox.

use std::time::Duration;

use postern_core::{enrollment, mail::Outbox};
use tokio::{task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;

use super::server::{Server, Verdict};
use crate::support::{Core, cli};

const PATIENCE: Duration = Duration::from_secs(20);
/// Longer than a claim lasts, and less than a mail waits.
const FROZEN: i64 = 60;

#[tokio::test]
async fn every_mail_is_sent_by_one_of_two_cores() {
    let here = Core::start().await;
    let there = here.beside().await;
    let server = Server::start(Verdict::TAKEN).await;
    let mut delivering = JoinSet::new();
    for core in [&here, &there] {
        delivering.spawn(Outbox::new(core.store.clone(), server.mailer()).run(CancellationToken::new()));
    }
    for number in 0..20 {
        let login = format!("person{number}");
        here.add_person(&login).await;
        let core = if number % 2 == 0 { &here } else { &there };
        let invite = core.store.write::<_, enrollment::InviteError, _>(move |tx| {
            Box::pin(async move { enrollment::invite_by_mail(tx, &login, &cli()).await })
        });
        invite.await.unwrap();
    }
    until(async || here.count("SELECT COUNT(*) FROM mails WHERE outcome = 'sent' AND attempts = 1").await == 20).await;
    assert_eq!(server.mails(), 20);
}

#[tokio::test]
async fn a_core_that_was_frozen_while_it_sent_a_mail_notes_nothing_about_it() {
    let frozen = Core::with_joe().await;
    let other = frozen.beside().await;
    let (silent, well) = tokio::join!(Server::start_holding(Verdict::REFUSED), Server::start(Verdict::TAKEN));
    frozen.mail_invitation().await.unwrap();
    let (mut delivering, drain) = (JoinSet::new(), CancellationToken::new());
    delivering.spawn(Outbox::new(frozen.store.clone(), silent.mailer()).run(drain.clone()));
    until(async || silent.mails() == 1).await;

    frozen.wait(FROZEN);
    let mut elsewhere = JoinSet::new();
    elsewhere.spawn(Outbox::new(other.store.clone(), well.mailer()).run(CancellationToken::new()));
    assert_eq!(other.ended_mail().await, ("sent".to_owned(), true, 2));
    drain.cancel();
    silent.let_go();
    timeout(PATIENCE, delivering.join_next()).await.unwrap().unwrap().unwrap();

    assert_eq!(other.ended_mail().await, ("sent".to_owned(), true, 2));
    assert_eq!(well.mails(), 1);
    let events = other.activity().await;
    assert!(!events.iter().any(|event| event.starts_with("mail_given_up")), "{events:?}");
}

async fn until(condition: impl AsyncFn() -> bool) {
    let met = async {
        while !condition().await {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, met).await.expect("in time");
}
