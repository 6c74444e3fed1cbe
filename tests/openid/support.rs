//! A Core with a provider, and browsers that go between them.

use std::{
    num::NonZeroUsize,
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
    instance::{self, Instance},
    location::{self, LocationForm, MfaMode, NewLocation},
    mail::MailUse,
    openid::{Issuer, Limits, Linking, RelyingParty, Settings},
    password::Passwords,
    person::{self, NewPerson, PersonForm},
    posture::Policy,
    sealing::MasterKey,
    secret::Secret,
    store::{Address, ServerAddress, Store, StoreError},
};
use postern_core_link::{EdgeId, Handler as _, OperationId, Reply, Request};
use postern_proto::{
    client_types as client,
    proxy::{self, core_request::Payload, core_response},
};
use postern_tests::{
    OpenIdProvider, eventually,
    openid_provider::{CLIENT_ID, CLIENT_SECRET, Returned},
    postgres::Database,
};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(crate) const PUBLIC_URL: &str = "https://vpn.example.org/";

/// Fast where a test waits for it, and otherwise as shipped.
pub(crate) const LIMITS: Limits = Limits {
    call_max: Duration::from_millis(700),
    refresh: Duration::from_mins(10),
    refresh_min: Duration::from_millis(1),
    retry_min: Duration::from_millis(1),
    age_max: Duration::from_hours(1),
};

/// Longer than anything takes on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(20);

pub(crate) struct Core {
    pub(crate) store: Store,
    pub(crate) dispatcher: Dispatcher,
    ahead: Arc<AtomicI64>,
    folder: Arc<TempDir>,
    /// `None`: a file in the folder.
    server: Option<Arc<Database>>,
    _tasks: JoinSet<()>,
}

/// A sign-in that a browser began: what its cookies hold, and what it brought back.
#[derive(Debug, Clone)]
pub(crate) struct Visit {
    pub(crate) nonce: String,
    pub(crate) returned: Returned,
}

impl Core {
    /// With one person, joe, and a provider that is known already.
    pub(crate) async fn with_joe(provider: &OpenIdProvider) -> Self {
        let core = Self::start(provider, Linking::ByEmail, LIMITS).await;
        core.knows_provider().await;
        core
    }

    pub(crate) async fn start(provider: &OpenIdProvider, linking: Linking, limits: Limits) -> Self {
        Self::start_on(None, provider, (linking, limits)).await
    }

    pub(crate) async fn start_on(
        server: Option<Database>,
        provider: &OpenIdProvider,
        settings: (Linking, Limits),
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        MasterKey::create(&folder.path().join("master.key")).unwrap();
        let place = (Arc::new(folder), server.map(Arc::new));
        let core = Self::open(place, Arc::default(), provider, settings).await;
        core.add_person("joe").await;
        core
    }

    /// Another Core on the same store, with the same clock.
    pub(crate) async fn beside(&self, provider: &OpenIdProvider, limits: Limits) -> Self {
        let place = (Arc::clone(&self.folder), self.server.clone());
        let core = Self::open(place, Arc::clone(&self.ahead), provider, (Linking::ByEmail, limits)).await;
        core.knows_provider().await;
        core
    }

    /// Ends this Core and starts it again on what it left.
    pub(crate) async fn restart(self, provider: &OpenIdProvider) -> Self {
        self.store.close().await;
        let place = (self.folder, self.server);
        let core = Self::open(place, self.ahead, provider, (Linking::ByEmail, LIMITS)).await;
        core.knows_provider().await;
        core
    }

    async fn open(
        (folder, server): (Arc<TempDir>, Option<Arc<Database>>),
        ahead: Arc<AtomicI64>,
        provider: &OpenIdProvider,
        (linking, limits): (Linking, Limits),
    ) -> Self {
        let (system, later) = (Clock::system(), Arc::clone(&ahead));
        let clock = Clock::new(move || Timestamp::from_unix(system.now().as_unix() + later.load(Ordering::SeqCst)));
        let key = MasterKey::load(&folder.path().join("master.key")).unwrap();
        let address = match &server {
            None => Address::File(folder.path().join("core.db")),
            Some(database) => Address::Server(ServerAddress::parse(Secret::new(database.url())).unwrap()),
        };
        let store = Store::open_with_clock(address, key, clock).await.unwrap();
        let settings = Settings {
            issuer: Issuer::parse(provider.issuer()).unwrap(),
            client_id: CLIENT_ID.to_owned(),
            client_secret: Secret::new(CLIENT_SECRET.to_owned()),
            display_name: "Example ID".to_owned(),
            linking,
        };
        let openid = Arc::new(RelyingParty::new(settings, PUBLIC_URL, &[], limits).unwrap());
        let id = store.write::<_, StoreError, _>(|tx| Box::pin(instance::ensure(tx))).await.unwrap();
        let instance = Instance {
            id,
            name: "Acme VPN".to_owned(),
            public_url: PUBLIC_URL.to_owned(),
            admin: None,
            vpn_setup_optional: true,
            mfa_required: false,
            final_text: String::new(),
            authorisation_lifetime: Duration::from_hours(12),
            mail: MailUse::of(None),
            posture: Policy::Off,
            openid_display_name: Some("Example ID".to_owned()),
        };
        let passwords = Passwords::new(NonZeroUsize::new(2).unwrap());
        let dispatcher = Dispatcher::new(store.clone(), passwords, instance).with_openid(Arc::clone(&openid));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { openid.run(CancellationToken::new()).await });
        Self { store, dispatcher, ahead, folder, server, _tasks: tasks }
    }

    pub(crate) async fn knows_provider(&self) {
        let begins = || async { self.ask(auth_info(client::AuthFlowType::Enrollment, None)).await.is_ok() };
        eventually("the provider is known", SOON, begins).await.unwrap();
    }

    pub(crate) fn wait(&self, seconds: i64) {
        self.ahead.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(crate) async fn add_person(&self, login: &str) {
        let form =
            PersonForm { login: login.to_owned(), email: format!("{login}@example.org"), ..PersonForm::default() };
        let new = NewPerson::try_from(form).unwrap();
        let add = self.store.write(move |tx| Box::pin(async move { person::add(tx, &new, &cli()).await }));
        add.await.unwrap();
    }

    pub(crate) async fn disable(&self, login: &'static str) {
        let disable = self.store.write(move |tx| Box::pin(async move { person::disable(tx, login, &cli()).await }));
        disable.await.unwrap();
    }

    /// A location whose second factor is the provider.
    pub(crate) async fn add_location(&self) {
        let form = LocationForm {
            name: "Office".to_owned(),
            endpoint: "198.51.100.7:51820".to_owned(),
            public_key: key(255),
            addresses: vec!["10.10.0.0/24".parse().unwrap()],
            allowed_ips: vec!["10.0.0.0/8".parse().unwrap()],
            dns: Vec::new(),
            mfa_mode: MfaMode::External,
            keepalive_seconds: 25,
        };
        let new = NewLocation::try_from(form).unwrap();
        let add = self.store.write(move |tx| Box::pin(async move { location::add(tx, &new, &cli()).await }));
        add.await.unwrap();
    }

    /// Asks without an operation, as behind a stock Edge.
    pub(crate) async fn ask(&self, payload: Payload) -> Reply {
        self.dispatcher.handle(request(payload, None)).await
    }

    pub(crate) async fn ask_as(&self, operation: &str, payload: Payload) -> Reply {
        self.dispatcher.handle(request(payload, Some(operation))).await
    }

    /// A browser that goes to the provider to enroll, and comes back.
    pub(crate) async fn visit(&self, provider: &OpenIdProvider) -> Visit {
        let begun = self.ask(auth_info(client::AuthFlowType::Enrollment, None)).await;
        self.follow(provider, begun).await
    }

    /// A browser that goes to the provider for a login, and comes back.
    pub(crate) async fn visit_for(&self, login: &str, provider: &OpenIdProvider) -> Visit {
        let begun = self.ask(auth_info(client::AuthFlowType::Mfa, Some(login))).await;
        self.follow(provider, begun).await
    }

    async fn follow(&self, provider: &OpenIdProvider, begun: Reply) -> Visit {
        let core_response::Payload::AuthInfo(begun) = begun.unwrap() else { panic!("not a beginning") };
        let returned = provider.visit(&begun.url).await.unwrap();
        assert_eq!(returned.state, begun.csrf_token, "what came back is what the cookie holds");
        Visit { nonce: begun.nonce, returned }
    }

    /// A sign-in to enroll, from its beginning to its end.
    pub(crate) async fn sign_in(&self, provider: &OpenIdProvider) -> Reply {
        let visit = self.visit(provider).await;
        self.ask(visit.callback()).await
    }

    /// `event outcome subject detail` of each row, oldest first.
    pub(crate) async fn activity(&self) -> Vec<String> {
        let rows = self.store.read::<_, StoreError, _>(|tx| Box::pin(activity::newest(tx, 1000))).await.unwrap();
        let line = |row: &activity::Row| format!("{} {} {} {}", row.event, row.outcome, row.subject, row.detail);
        rows.iter().rev().map(|row| line(row).trim_end().to_owned()).collect()
    }
}

impl Visit {
    pub(crate) fn callback(&self) -> Payload {
        let (code, nonce) = (self.returned.code.clone(), self.nonce.clone());
        Payload::AuthCallback(proxy::AuthCallbackRequest { code, nonce })
    }

    pub(crate) fn authenticate(&self) -> Payload {
        let Returned { code, state, .. } = self.returned.clone();
        let nonce = self.nonce.clone();
        Payload::ClientMfaOidcAuthenticate(proxy::ClientMfaOidcAuthenticateRequest { code, state, nonce })
    }
}

pub(crate) fn cli() -> Origin {
    Origin::command_line()
}

/// A WireGuard key that is told from others by its number.
pub(crate) fn key(number: u8) -> String {
    STANDARD.encode([number; 32])
}

pub(crate) fn auth_info(flow: client::AuthFlowType, state: Option<&str>) -> Payload {
    let state = state.map(str::to_owned);
    Payload::AuthInfo(client::AuthInfoRequest { redirect_url: String::new(), state, auth_flow_type: flow.into() })
}

pub(crate) fn start(token: &str) -> Payload {
    Payload::EnrollmentStart(client::EnrollmentStartRequest { token: token.to_owned() })
}

fn request(payload: Payload, operation: Option<&str>) -> Request {
    Request {
        edge: EdgeId(1),
        device_info: Some(proxy::DeviceInfo { ip_address: "203.0.113.9".to_owned(), ..proxy::DeviceInfo::default() }),
        operation_id: operation.map(|id| OperationId::parse(id.to_owned()).unwrap()),
        deadline: tokio::time::Instant::now() + Duration::from_secs(4),
        payload,
    }
}

/// The enrollment token that a sign-in gave.
pub(crate) fn token(reply: Reply) -> String {
    let core_response::Payload::AuthCallback(ended) = reply.unwrap() else { panic!("not the end of a sign-in") };
    assert_eq!(ended.url, PUBLIC_URL);
    ended.token
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
