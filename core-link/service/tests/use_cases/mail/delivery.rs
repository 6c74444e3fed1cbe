//! What is left of a mail when it is delivered, and when it is given up: nothing that could be read.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use postern_core::{
    config::{Config, Flags},
    mail::{House, Mailer, Outbox},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufStream},
    net::TcpListener,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::support::{Core, DAY};

#[tokio::test]
async fn a_delivered_mail_leaves_no_content() {
    let core = Core::with_joe().await;
    core.mail_invitation().await.unwrap();
    assert_eq!(core.delivered_with("250 taken").await, ("sent".to_owned(), true, 1));
}

#[tokio::test]
async fn a_refused_mail_leaves_no_content_and_a_row_in_the_activity() {
    let core = Core::with_joe().await;
    core.mail_invitation().await.unwrap();
    assert_eq!(core.delivered_with("550 no").await, ("failed".to_owned(), true, 1));
    let last = core.activity().await.pop().unwrap();
    assert_eq!(last, "mail_given_up refused joe invitation: the mail server refused with 550");
}

#[tokio::test]
async fn an_old_mail_leaves_no_content_and_is_not_sent() {
    let core = Core::with_joe().await;
    core.mail_invitation().await.unwrap();
    core.wait(DAY);
    assert_eq!(core.delivered_with("250 taken").await, ("expired".to_owned(), true, 1));
}

#[tokio::test]
async fn a_mail_from_a_clock_that_was_ahead_is_sent_when_it_is_set_right() {
    let core = Core::with_joe().await;
    core.wait(365 * DAY);
    core.mail_invitation().await.unwrap();
    core.wait(-365 * DAY);
    assert_eq!(core.delivered_with("250 taken").await, ("sent".to_owned(), true, 1));
}

impl Core {
    /// Delivers the one mail to a server that ends every mail so. Says how it ended, whether its content is gone, and
    /// how often it was tried.
    async fn delivered_with(&self, verdict: &'static str) -> (String, bool, i64) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let variables = [
            ("POSTERN_CORE__SMTP_SERVER", listener.local_addr().unwrap().to_string()),
            ("POSTERN_CORE__SMTP_ENCRYPTION", "none".to_owned()),
            ("POSTERN_CORE__MAIL_FROM", "VPN <vpn@example.org>".to_owned()),
        ];
        let config = Config::load(&Flags::new(), variables.map(|(name, value)| (name.into(), value.into()))).unwrap();
        let house = House {
            name: config.instance_name.clone(),
            public_url: config.public_url.clone(),
            admin: config.admin_contact.clone(),
        };
        let mailer = Arc::new(Mailer::new(&config.mail.unwrap(), &[], house).unwrap());
        let drain = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, verdict));
        tasks.spawn(Outbox::new(self.store.clone(), mailer).run(drain.clone()));
        let ended = async {
            loop {
                let row: (String, bool, i64) =
                    sqlx::query_as("SELECT outcome, sealed_content IS NULL, attempts FROM mails")
                        .fetch_one(&mut self.reader().await)
                        .await
                        .unwrap();
                if row.0 != "waiting" {
                    return row;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), ended).await.unwrap()
    }
}

/// The least that is a mail server.
async fn serve(listener: TcpListener, verdict: &'static str) {
    while let Ok((stream, _)) = listener.accept().await {
        let mut stream = BufStream::new(stream);
        let (mut reply, mut in_mail) = ("220 here", false);
        loop {
            if !reply.is_empty() {
                stream.write_all(format!("{reply}\r\n").as_bytes()).await.unwrap();
                stream.flush().await.unwrap();
            }
            let mut line = String::new();
            if !matches!(stream.read_line(&mut line).await, Ok(1..)) {
                break;
            }
            reply = match (in_mail, line.trim_end()) {
                (true, ".") => {
                    in_mail = false;
                    verdict
                }
                (true, _) => "",
                (false, "DATA") => {
                    in_mail = true;
                    "354 go ahead"
                }
                (false, _) => "250 fine",
            };
        }
    }
}
