//! A small OpenID provider on loopback, which can misbehave.
//!
//! It does what a relying party needs of one: discovery, keys, an authorization endpoint that signs its one account in
//! without asking, and a token endpoint that redeems each code once, for the right client, secret, address and PKCE
//! verifier.

mod endpoints;
mod misbehaviour;
mod signing;

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::Notify,
    task::{AbortHandle, JoinSet},
};

pub use misbehaviour::Misbehaviour;
pub use signing::Algorithm;

use self::signing::Keys;
use crate::Client;

pub const CLIENT_ID: &str = "postern";
/// With characters that must be encoded on their way.
pub const CLIENT_SECRET: &str = "canary-client-secret %:+/";

/// Who signs in.
#[derive(Debug, Clone)]
pub struct Account {
    pub subject: String,
    pub email: Option<String>,
    /// As JSON: some providers send it as text.
    pub email_verified: Value,
}

/// How often each endpoint was asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Asked {
    pub metadata: usize,
    pub keys: usize,
    pub tokens: usize,
}

/// What the browser brings back.
#[derive(Debug, Clone)]
pub struct Returned {
    /// Where the provider sent it, without the query.
    pub address: String,
    pub code: String,
    pub state: String,
}

/// Runs until it is dropped.
#[derive(Debug)]
pub struct OpenIdProvider {
    shared: Arc<Shared>,
    address: SocketAddr,
    server: AbortHandle,
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    issuer: String,
    state: Mutex<State>,
    /// Lets go what is held by [`Misbehaviour::TokenWaits`].
    released: Notify,
}

#[derive(Debug)]
struct State {
    account: Account,
    misbehaviour: Option<Misbehaviour>,
    keys: Keys,
    /// What each code was given for.
    codes: HashMap<String, Grant>,
    codes_given: usize,
    asked: Asked,
}

#[derive(Debug, Clone)]
struct Grant {
    redirect_uri: String,
    nonce: String,
    challenge: String,
    account: Account,
}

impl Account {
    /// With a verified address.
    pub fn new(subject: &str, email: &str) -> Self {
        Self { subject: subject.to_owned(), email: Some(email.to_owned()), email_verified: json!(true) }
    }
}

impl OpenIdProvider {
    /// Signs with ES256.
    pub async fn start() -> Result<Self> {
        Self::start_with(Algorithm::Es256).await
    }

    pub async fn start_with(algorithm: Algorithm) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            issuer: format!("http://{address}"),
            state: Mutex::new(State {
                account: Account::new("subject-of-joe", "joe@example.org"),
                misbehaviour: None,
                keys: Keys::new(algorithm),
                codes: HashMap::new(),
                codes_given: 0,
                asked: Asked::default(),
            }),
            released: Notify::new(),
        });
        let router = endpoints::router(Arc::clone(&shared));
        let mut tasks = JoinSet::new();
        let server = tasks.spawn(async move {
            axum::serve(listener, router).await.expect("a server on loopback does not end by itself");
        });
        Ok(Self { shared, address, server, _tasks: tasks })
    }

    pub fn issuer(&self) -> &str {
        &self.shared.issuer
    }

    /// From the next sign-in on.
    pub fn sign_in_as(&self, account: Account) {
        self.shared.with(|state| state.account = account);
    }

    /// From the next answer on, until told otherwise.
    pub fn misbehave(&self, misbehaviour: Misbehaviour) {
        self.shared.with(|state| state.misbehaviour = Some(misbehaviour));
    }

    pub fn behave(&self) {
        self.shared.with(|state| state.misbehaviour = None);
        self.shared.released.notify_waiters();
    }

    /// New keys in the place of the old ones.
    pub fn rotate_keys(&self) {
        self.shared.with(|state| state.keys = state.keys.successors());
    }

    pub fn asked(&self) -> Asked {
        self.shared.with(|state| state.asked)
    }

    /// Nobody listens any more.
    pub fn go_down(&self) {
        self.server.abort();
    }

    /// What a browser does with the address that it was sent to.
    pub async fn visit(&self, url: &str) -> Result<Returned> {
        let path = url.strip_prefix(self.issuer()).context("the address is not of this provider")?;
        let reply = Client::new(self.address).get(path).await?;
        let location = reply.headers.get("location").with_context(|| format!("no redirect, but {}", reply.status))?;
        let (address, query) = location.to_str()?.split_once('?').context("no query")?;
        let query: HashMap<String, String> = endpoints::pairs(query);
        let value = |name: &str| query.get(name).cloned().with_context(|| format!("no {name}"));
        Ok(Returned { address: address.to_owned(), code: value("code")?, state: value("state")? })
    }
}

impl Shared {
    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
