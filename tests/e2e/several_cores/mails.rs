//! Every Core delivers mails; each mail goes out once.

use std::{collections::BTreeSet, time::Duration};

use postern_tests::{Cluster, MailSink, Setup, eventually, in_turns};

const PEOPLE: usize = 24;
const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_mail_is_delivered_once() {
    let sink = MailSink::start().await.expect("a mail server");
    let folder = tempfile::tempdir().expect("a folder");
    let core_settings = sink.settings(folder.path()).expect("settings");
    let setup = Setup { core_settings, ..Setup::several_cores(2) };
    let cluster = Cluster::start_with(setup).await.expect("the cluster starts");
    let commands = [cluster.core.commands(), cluster.beside[0].commands()];
    in_turns(PEOPLE, 4, |number| {
        let commands = commands[number % 2].clone();
        async move {
            let (login, mail) = (format!("joe{number}"), format!("joe{number}@example.org"));
            commands.json(&["user", "add", &login, "--email", &mail]).await.expect("user add");
            commands.json(&["user", "enroll", &login, "--mail"]).await.expect("user enroll");
        }
    })
    .await
    .expect("all invited");
    let database = cluster.database().expect("a Postgres");
    let count = |outcome| {
        let rows = database.execute(&format!("SELECT COUNT(*) FROM mails WHERE outcome = '{outcome}'"));
        rows.expect("a count").trim().parse::<usize>().expect("a number")
    };
    eventually("all are sent", LIMIT, || async { count("sent") == PEOPLE }).await.expect("delivered");
    let mails = sink.mails();
    let ids: BTreeSet<_> = mails.iter().map(|mail| mail.header("Message-ID")).collect();
    assert_eq!((mails.len(), ids.len(), count("waiting")), (PEOPLE, PEOPLE, 0));
    assert_eq!(database.execute("SELECT MAX(attempts) FROM mails").expect("a number").trim(), "1");
}
