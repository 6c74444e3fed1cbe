//! What the parts of a stock Edge share.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use postern_proto::proxy::{AcmeChallenge, core_response};
use rcgen::KeyPair;
use rustls::ServerConfig;
use rustls_pki_types::CertificateDer;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use super::StockSettings;
use crate::testing::authority::Identity;

/// What Core sent unasked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pushed {
    /// A key that can be used.
    InitialInfo,
    /// Certificate and key.
    HttpsCerts(String, String),
    /// Back to plain HTTP.
    ClearHttpsCerts,
    /// Something that no stock Core sends.
    Unknown,
}

/// What it does with an order of a certificate.
#[derive(Debug, Clone)]
pub enum AcmeScript {
    /// All four steps, then the certificate: chain, key, account.
    Issues(String, String, String),
    /// Some steps, lines of a log, then this.
    Fails(Vec<String>, Code, &'static str),
    /// Ends with neither.
    EndsEmpty,
    /// An event without content.
    EmptyEvent,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: StockSettings,
    state: Mutex<State>,
}

#[derive(Debug)]
pub(super) struct State {
    /// `None`: it waits for its adoption.
    pub(super) identity: Option<StockIdentity>,
    pub(super) window_opened: Instant,
    pub(super) session: Option<Session>,
    pub(super) sessions_begun: u64,
    pub(super) tunnel: Option<mpsc::Sender<Result<Bytes, Status>>>,
    pub(super) cookie_key: Option<Vec<u8>>,
    pub(super) waiting: HashMap<u64, oneshot::Sender<core_response::Payload>>,
    pub(super) last_id: u64,
    pub(super) late_replies: usize,
    pub(super) pushed: Vec<Pushed>,
    pub(super) acme: AcmeScript,
    pub(super) acme_orders: Vec<AcmeChallenge>,
    phase: CancellationToken,
}

/// An adoption that has begun.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) number: u64,
    /// The whole header, of which it reads nothing.
    pub(super) bearer: String,
    pub(super) key: Option<(KeyPair, String)>,
}

#[derive(Debug)]
pub(super) struct StockIdentity {
    pub(super) identity: Identity,
    pub(super) core_client_cert: CertificateDer<'static>,
}

impl Shared {
    pub(super) fn new(settings: StockSettings) -> Self {
        let state = State {
            identity: None,
            window_opened: Instant::now(),
            session: None,
            sessions_begun: 0,
            tunnel: None,
            cookie_key: None,
            waiting: HashMap::new(),
            last_id: 0,
            late_replies: 0,
            pushed: Vec::new(),
            acme: AcmeScript::Fails(Vec::new(), Code::Internal, "no authority answers"),
            acme_orders: Vec::new(),
            phase: CancellationToken::new(),
        };
        Self { settings, state: Mutex::new(state) }
    }

    pub(super) fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Cancelled when this phase is over.
    pub(super) fn begin_phase(&self) -> CancellationToken {
        self.with(|state| {
            state.window_opened = Instant::now();
            state.phase = CancellationToken::new();
            state.phase.clone()
        })
    }

    pub(super) fn adopt(&self, identity: StockIdentity) {
        self.with(|state| {
            state.session = None;
            state.pushed.clear();
            state.identity = Some(identity);
            state.phase.cancel();
        });
    }

    pub(super) fn forget(&self) {
        self.with(|state| {
            state.identity = None;
            state.cookie_key = None;
            state.tunnel = None;
            state.waiting.clear();
            state.phase.cancel();
        });
    }

    pub(super) fn tls(&self) -> Option<Arc<ServerConfig>> {
        self.with(|state| Some(state.identity.as_ref()?.identity.server_config()))
    }

    pub(super) fn is_adopted(&self) -> bool {
        self.with(|state| state.identity.is_some())
    }

    pub(super) fn is_ready(&self) -> bool {
        self.with(|state| state.cookie_key.is_some() && state.tunnel.is_some())
    }

    pub(super) fn pushed(&self) -> Vec<Pushed> {
        self.with(|state| state.pushed.clone())
    }

    pub(super) fn late_replies(&self) -> usize {
        self.with(|state| state.late_replies)
    }

    pub(super) fn script_acme(&self, script: AcmeScript) {
        self.with(|state| state.acme = script);
    }

    pub(super) fn acme_orders(&self) -> Vec<AcmeChallenge> {
        self.with(|state| state.acme_orders.clone())
    }
}
