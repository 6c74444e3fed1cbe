//! A Core in a folder of its own.

pub(crate) mod hosts;
mod login;
pub(crate) mod mails;
pub(crate) mod rows;

use std::{
    num::NonZeroUsize,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use postern_core::{
    activity::{self, Origin},
    clock::{Clock, Timestamp},
    dispatch::Dispatcher,
    enrollment::{self, InviteError},
    instance::{self, AdminContact, Instance, InstanceId},
    location::{self, Location, LocationForm, MfaMode, NewLocation},
    mail::MailUse,
    password::Passwords,
    person::{self, AddPersonError, NewPerson, PersonForm},
    posture::Policy,
    store::{Store, StoreError},
};
use postern_core_link::{EdgeId, Handler as _, OperationId, Reply, Request};
use postern_proto::{
    client_types as client,
    proxy::{DeviceInfo, core_request, core_response},
};

use crate::place::{Database, Place};

pub(crate) const START: i64 = 1_795_000_000;
pub(crate) const DAY: i64 = 24 * 3600;
pub(crate) const SESSION: i64 = 600;
pub(crate) const AUTHORISATION: u64 = 12 * 3600;
pub(crate) const PASSWORD: &str = "Str0ng!passw-rd";

pub(crate) struct Core {
    pub(crate) store: Store,
    pub(crate) dispatcher: Dispatcher,
    clock: Arc<AtomicI64>,
    place: Arc<Place>,
}

impl Core {
    pub(crate) async fn start() -> Self {
        Self::open(Arc::new(Place::new()), Arc::new(AtomicI64::new(START))).await
    }

    /// With one location, 10.10.0.0/24, and one person, joe.
    pub(crate) async fn with_joe() -> Self {
        let core = Self::start().await;
        core.add_person("joe").await;
        core.add_location("Office", &["10.10.0.0/24"]).await;
        core
    }

    async fn open(place: Arc<Place>, clock: Arc<AtomicI64>) -> Self {
        let now = Arc::clone(&clock);
        let source = Clock::new(move || Timestamp::from_unix(now.load(Ordering::SeqCst)));
        let store = Store::open_with_clock(place.address(), place.key(), source).await.unwrap();
        let id = store.write::<_, StoreError, _>(|tx| Box::pin(instance::ensure(tx))).await.unwrap();
        let instance = instance(id);
        let passwords = Passwords::new(NonZeroUsize::new(2).unwrap());
        Self { dispatcher: Dispatcher::new(store.clone(), passwords, instance), store, clock, place }
    }

    /// The same Core under other settings.
    pub(crate) async fn with_settings(self, change: impl FnOnce(&mut Instance)) -> Self {
        let id = self.store.write::<_, StoreError, _>(|tx| Box::pin(instance::ensure(tx))).await.unwrap();
        let mut instance = instance(id);
        change(&mut instance);
        let passwords = Passwords::new(NonZeroUsize::new(2).unwrap());
        Self { dispatcher: Dispatcher::new(self.store.clone(), passwords, instance), ..self }
    }

    /// Ends this Core and starts it again on what it left.
    pub(crate) async fn restart(self) -> Self {
        self.store.close().await;
        Self::open(self.place, self.clock).await
    }

    /// Another Core on the same database, with the same clock.
    pub(crate) async fn beside(&self) -> Self {
        Self::open(Arc::clone(&self.place), Arc::clone(&self.clock)).await
    }

    /// This Core again, after its store was moved.
    pub(crate) async fn moved(self, place: Place) -> Self {
        Self::open(Arc::new(place), self.clock).await
    }

    /// Where its master key is, and on SQLite its database.
    pub(crate) fn folder(&self) -> &Path {
        self.place.folder.path()
    }

    /// `None` on SQLite.
    pub(crate) fn server(&self) -> Option<&Database> {
        self.place.server.as_ref()
    }

    pub(crate) fn wait(&self, seconds: i64) {
        self.clock.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(crate) async fn add_person(&self, login: &str) {
        self.try_add_person(login).await.unwrap();
    }

    pub(crate) async fn try_add_person(&self, login: &str) -> Result<(), AddPersonError> {
        let form = PersonForm {
            login: login.to_owned(),
            email: format!("{login}@example.org"),
            first_name: "Joe".to_owned(),
            last_name: "Doe".to_owned(),
            ..PersonForm::default()
        };
        let new = NewPerson::try_from(form).unwrap();
        let add = self.store.write(move |tx| Box::pin(async move { person::add(tx, &new, &cli()).await }));
        add.await.map(drop)
    }

    pub(crate) async fn disable(&self, login: &'static str) {
        let disable = self.store.write(move |tx| Box::pin(async move { person::disable(tx, login, &cli()).await }));
        disable.await.unwrap();
    }

    pub(crate) async fn add_location(&self, name: &str, ranges: &[&str]) -> Location {
        let new = new_location(name, ranges);
        let add = self.store.write(move |tx| Box::pin(async move { location::add(tx, &new, &cli()).await }));
        add.await.unwrap()
    }

    /// A new enrollment token.
    pub(crate) async fn invite(&self, login: &str) -> String {
        self.try_invite(login).await.unwrap()
    }

    pub(crate) async fn try_invite(&self, login: &str) -> Result<String, InviteError> {
        let login = login.to_owned();
        let invite = self.store.write(move |tx| Box::pin(async move { enrollment::invite(tx, &login, &cli()).await }));
        Ok(invite.await?.token.expose().to_owned())
    }

    /// A token whose session is open.
    pub(crate) async fn session(&self, login: &str) -> String {
        let token = self.invite(login).await;
        self.ask(start(&token)).await.unwrap();
        token
    }

    pub(crate) async fn ask(&self, payload: core_request::Payload) -> Reply {
        self.dispatcher.handle(request(payload, None)).await
    }

    pub(crate) async fn ask_as(&self, operation: &str, payload: core_request::Payload) -> Reply {
        self.dispatcher.handle(request(payload, Some(operation))).await
    }

    /// `event outcome subject detail` of each row, oldest first.
    pub(crate) async fn activity(&self) -> Vec<String> {
        let rows = self.store.read::<_, StoreError, _>(|tx| Box::pin(activity::newest(tx, 1000))).await.unwrap();
        let line = |row: &activity::Row| format!("{} {} {} {}", row.event, row.outcome, row.subject, row.detail);
        rows.iter().rev().map(|row| line(row).trim_end().to_owned()).collect()
    }
}

fn instance(id: InstanceId) -> Instance {
    Instance {
        id,
        name: "Acme VPN".to_owned(),
        public_url: "https://vpn.example.org/".to_owned(),
        admin: Some(AdminContact { name: "Ada Admin".to_owned(), email: "admin@example.org".to_owned(), phone: None }),
        vpn_setup_optional: true,
        mfa_required: false,
        final_text: "Welcome.".to_owned(),
        openid_display_name: None,
        posture: Policy::Off,
        authorisation_lifetime: Duration::from_secs(AUTHORISATION),
        mail: MailUse::Off,
    }
}

pub(crate) fn cli() -> Origin {
    Origin::command_line()
}

pub(crate) fn new_location(name: &str, ranges: &[&str]) -> NewLocation {
    NewLocation::try_from(location_form(name, ranges)).unwrap()
}

pub(crate) fn location_form(name: &str, ranges: &[&str]) -> LocationForm {
    LocationForm {
        name: name.to_owned(),
        endpoint: "198.51.100.7:51820".to_owned(),
        public_key: key(255),
        addresses: ranges.iter().map(|range| range.parse().unwrap()).collect(),
        allowed_ips: vec!["10.0.0.0/8".parse().unwrap()],
        dns: vec!["10.10.0.1".parse().unwrap()],
        mfa_mode: MfaMode::Internal,
        keepalive_seconds: 25,
    }
}

pub(crate) fn device_info(ip: &str) -> DeviceInfo {
    DeviceInfo { ip_address: ip.to_owned(), ..DeviceInfo::default() }
}

pub(crate) fn request(payload: core_request::Payload, operation: Option<&str>) -> Request {
    Request {
        edge: EdgeId(1),
        device_info: Some(device_info("203.0.113.9")),
        operation_id: operation.map(|id| OperationId::parse(id.to_owned()).unwrap()),
        deadline: tokio::time::Instant::now() + Duration::from_secs(4),
        payload,
    }
}

/// A WireGuard key that is told from others by its number.
pub(crate) fn key(number: u8) -> String {
    STANDARD.encode([number; 32])
}

pub(crate) fn start(token: &str) -> core_request::Payload {
    core_request::Payload::EnrollmentStart(client::EnrollmentStartRequest { token: token.to_owned() })
}

pub(crate) fn new_device(token: &str, name: &str, pubkey: &str) -> core_request::Payload {
    let (name, pubkey, token) = (name.to_owned(), pubkey.to_owned(), Some(token.to_owned()));
    core_request::Payload::NewDevice(client::NewDevice { name, pubkey, token })
}

pub(crate) fn existing_device(token: &str, pubkey: &str) -> core_request::Payload {
    let (pubkey, token) = (pubkey.to_owned(), Some(token.to_owned()));
    core_request::Payload::ExistingDevice(client::ExistingDevice { pubkey, token })
}

pub(crate) fn activate(token: &str, password: &str) -> core_request::Payload {
    let (password, token) = (password.to_owned(), Some(token.to_owned()));
    core_request::Payload::ActivateUser(client::ActivateUserRequest { phone_number: None, password, token })
}

pub(crate) fn poll(token: &str) -> core_request::Payload {
    core_request::Payload::InstanceInfo(client::InstanceInfoRequest { token: token.to_owned() })
}

pub(crate) fn started(reply: Reply) -> client::EnrollmentStartResponse {
    let core_response::Payload::EnrollmentStart(started) = reply.unwrap() else { panic!("not a started session") };
    started
}

pub(crate) fn configured(reply: Reply) -> client::DeviceConfigResponse {
    let core_response::Payload::DeviceConfig(configured) = reply.unwrap() else { panic!("not a device's setup") };
    configured
}

pub(crate) fn polled(reply: Reply) -> client::DeviceConfigResponse {
    let core_response::Payload::InstanceInfo(polled) = reply.unwrap() else { panic!("not an answer to a poll") };
    polled.device_config.unwrap()
}

/// Code and text of a refusal.
#[track_caller]
pub(crate) fn refused(reply: Reply) -> (i32, String) {
    let rejection = reply.expect_err("this should have been refused");
    (rejection.code as i32, rejection.message)
}

#[track_caller]
pub(crate) fn assert_refused(reply: Reply, code: i32, text: &str) {
    assert_eq!(refused(reply), (code, text.to_owned()));
}
