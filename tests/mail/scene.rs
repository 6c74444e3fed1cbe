//! A store, its outbox, and a mail server, in one process and with a clock that only moves when told to.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result};
use postern_core::{
    activity::{self, Origin},
    clock::{Clock, Timestamp},
    config::Config,
    enrollment,
    mail::{self, House, Mailer, Message, Outbox, Posted},
    person::{self, NewPerson, Person, PersonForm},
    sealing::MasterKey,
    secret::Secret,
    store::{Store, StoreError},
};
use postern_tests::{
    MailSink,
    mail_sink::{Demands, Mail},
};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(crate) const START: i64 = 1_795_000_000;
/// A turn of the outbox begins at most so much later; the rest is for a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(40);

pub(crate) struct Scene {
    pub(crate) sink: MailSink,
    pub(crate) store: Store,
    pub(crate) mailer: Arc<Mailer>,
    clock: Arc<AtomicI64>,
    drain: CancellationToken,
    deliverers: JoinSet<()>,
    _folder: TempDir,
}

impl Scene {
    pub(crate) async fn start() -> Result<Self> {
        Self::start_with(Demands::default(), &[]).await
    }

    /// Some settings in place of those that the sink needs.
    pub(crate) async fn start_with(demands: Demands, changed: &[(&'static str, String)]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let sink = MailSink::start_with(demands).await?;
        let mut settings: BTreeMap<_, _> = sink.settings(folder.path())?.into_iter().collect();
        settings.extend(changed.iter().cloned());
        let environment = settings.into_iter().map(|(key, value)| (format!("POSTERN_CORE__{key}"), value));
        let environment = environment.map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let config = Config::load(&BTreeMap::new(), environment)?;
        let house = House {
            name: "Acme: \"VPN\", Łódź <x@y>".to_owned(),
            public_url: "https://vpn.example.org/".to_owned(),
            admin: config.admin_contact.clone(),
        };
        let mail = config.mail.as_ref().context("mail is set")?;
        let mailer = Arc::new(Mailer::new(mail, &config.outbound_authorities, house)?);

        let key = folder.path().join("master.key");
        MasterKey::create(&key)?;
        let clock = Arc::new(AtomicI64::new(START));
        let now = Arc::clone(&clock);
        let source = Clock::new(move || Timestamp::from_unix(now.load(Ordering::SeqCst)));
        let store = Store::open_with_clock(&folder.path().join("core.db"), MasterKey::load(&key)?, source).await?;
        let (drain, deliverers) = (CancellationToken::new(), JoinSet::new());
        let mut scene = Self { sink, store, mailer, clock, drain, deliverers, _folder: folder };
        scene.deliver();
        Ok(scene)
    }

    /// Starts a deliverer, or one more.
    pub(crate) fn deliver(&mut self) {
        let outbox = Outbox::new(self.store.clone(), Arc::clone(&self.mailer));
        self.deliverers.spawn(outbox.run(self.drain.clone()));
    }

    pub(crate) fn wait(&self, seconds: i64) {
        self.clock.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Adds a person and mails an invitation.
    pub(crate) async fn invite(&self, login: &str) -> Result<()> {
        self.add(login, "Joe").await?;
        self.mail_invitation(login).await
    }

    pub(crate) async fn add(&self, login: &str, first_name: &str) -> Result<Person> {
        let form = PersonForm {
            login: login.to_owned(),
            email: format!("{login}@example.org"),
            first_name: first_name.to_owned(),
            ..PersonForm::default()
        };
        let new = NewPerson::try_from(form)?;
        let add = self.store.write(move |tx| Box::pin(async move { person::add(tx, &new, &origin()).await }));
        Ok(add.await?)
    }

    pub(crate) async fn mail_invitation(&self, login: &str) -> Result<()> {
        let login = login.to_owned();
        let invite = self
            .store
            .write(move |tx| Box::pin(async move { enrollment::invite_by_mail(tx, &login, &origin()).await }));
        invite.await?;
        Ok(())
    }

    /// Mails a code that ends so soon.
    pub(crate) async fn mail_code(&self, to: Person, lifetime: Duration) -> Result<()> {
        let valid_until = self.store.now().after(lifetime);
        let message = Message::MailCode { code: Secret::new("123456".to_owned()), valid_until };
        let post = self.store.write::<_, StoreError, _>(move |tx| {
            Box::pin(async move { mail::post(tx, &to, message, valid_until).await })
        });
        anyhow::ensure!(post.await? == Posted::Waiting, "it is one too many");
        Ok(())
    }

    /// The mails for this person, once there is one.
    pub(crate) async fn arrived(&self, login: &str) -> Result<Vec<Mail>> {
        let to = format!("{login}@example.org");
        let find = || -> Vec<Mail> { self.sink.mails().into_iter().filter(|mail| mail.to == [to.clone()]).collect() };
        postern_tests::eventually(&format!("a mail for {login}"), LIMIT, || async { !find().is_empty() }).await?;
        Ok(find())
    }

    /// The same while time goes by, so that whatever waits for its next attempt gets there.
    pub(crate) async fn arrived_in_time(&self, login: &str) -> Result<Vec<Mail>> {
        let to = format!("{login}@example.org");
        let find = || -> Vec<Mail> { self.sink.mails().into_iter().filter(|mail| mail.to == [to.clone()]).collect() };
        let passing = || async {
            self.wait(1);
            !find().is_empty()
        };
        postern_tests::eventually(&format!("a mail for {login}"), LIMIT, passing).await?;
        Ok(find())
    }

    /// Detail of the row that says that a mail was given up, once there is one.
    pub(crate) async fn given_up(&self) -> Result<String> {
        let find = || async {
            let rows = self.store.read::<_, StoreError, _>(|tx| Box::pin(activity::newest(tx, 100))).await.ok()?;
            rows.into_iter()
                .find(|row| row.event == "mail_given_up")
                .map(|row| format!("{} {}", row.subject, row.detail))
        };
        let passing = || async {
            self.wait(1);
            find().await.is_some()
        };
        postern_tests::eventually("a mail is given up", LIMIT, passing).await?;
        find().await.context("it was there")
    }

    /// Ends the deliverers, in order.
    pub(crate) async fn stop(&mut self) {
        self.drain.cancel();
        while self.deliverers.join_next().await.is_some() {}
    }
}

fn origin() -> Origin {
    Origin::command_line()
}
