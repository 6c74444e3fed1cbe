//! An Edge that behaves as a stock one of version 2 does, its oddities included.
//!
//! It waits for its adoption over plain HTTP/2, changes the same port to TLS once it has its identity, and knows
//! nothing of `postern.link`. Requests are sent by the test, as its HTTP side would.

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use postern_proto::proxy::{AcmeChallenge, core_request, core_response};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::sleep,
};
use tokio_rustls::TlsAcceptor;

use super::free_address;
use crate::edge::EdgeAddress;

mod bundle;
mod interceptors;
mod runtime;
mod setup;
mod state;

pub use runtime::Unanswered;
use state::Shared;
pub use state::{AcmeScript, Pushed};

/// What differs between installations, and what tests need shorter.
#[derive(Debug, Clone, Copy)]
pub struct StockSettings {
    /// What it announces on each reply of its services.
    pub version: &'static str,
    /// How long after its start, and after a purge, it may be adopted.
    pub adoption_window: Duration,
    /// Between plain HTTP/2 and TLS, and back, nobody listens for this long.
    pub gap: Duration,
    /// How long its HTTP side waits for Core.
    pub patience: Duration,
}

impl Default for StockSettings {
    fn default() -> Self {
        Self {
            version: "2.0.0+2f1c9aa",
            adoption_window: Duration::from_secs(600),
            gap: Duration::from_millis(100),
            patience: Duration::from_secs(5),
        }
    }
}

/// A running one. Dropping it is its crash.
#[derive(Debug)]
pub struct StockEdge {
    address: EdgeAddress,
    shared: Arc<Shared>,
    _running: JoinSet<()>,
}

impl StockEdge {
    /// On a port of its own, not adopted.
    pub async fn start() -> Self {
        Self::start_with(StockSettings::default()).await
    }

    /// The same with other settings.
    ///
    /// # Panics
    /// When loopback has no free port.
    pub async fn start_with(settings: StockSettings) -> Self {
        let listen = free_address();
        let listener = TcpListener::bind(listen).await.expect("nobody else listens there");
        let shared = Arc::new(Shared::new(settings));
        let mut running = JoinSet::new();
        running.spawn(run(listener, listen, Arc::clone(&shared)));
        Self { address: listen.to_string().parse().expect("an address"), shared, _running: running }
    }

    /// Where it listens.
    pub fn address(&self) -> &EdgeAddress {
        &self.address
    }

    /// It has an identity.
    pub fn is_adopted(&self) -> bool {
        self.shared.is_adopted()
    }

    /// Core has sent its cookie key, so that its HTTP side answers something else than 503.
    pub fn is_ready(&self) -> bool {
        self.shared.is_ready()
    }

    /// What Core sent unasked, since its adoption.
    pub fn pushed(&self) -> Vec<Pushed> {
        self.shared.pushed()
    }

    /// Replies that came after their time, or to nothing.
    pub fn late_replies(&self) -> usize {
        self.shared.late_replies()
    }

    /// Asks Core, as its HTTP side would.
    ///
    /// # Errors
    /// [`Unanswered`]
    pub fn request(
        &self,
        payload: core_request::Payload,
    ) -> impl Future<Output = Result<core_response::Payload, Unanswered>> + Send + use<> {
        runtime::request(Arc::clone(&self.shared), payload)
    }

    /// What it answers to orders of a certificate.
    pub fn script_acme(&self, script: AcmeScript) {
        self.shared.script_acme(script);
    }

    /// The orders so far.
    pub fn acme_orders(&self) -> Vec<AcmeChallenge> {
        self.shared.acme_orders()
    }
}

/// One phase after the other: adoption, service, adoption again.
async fn run(listener: TcpListener, listen: SocketAddr, shared: Arc<Shared>) {
    let mut listener = Some(listener);
    loop {
        let listening = match listener.take() {
            Some(listening) => listening,
            None => TcpListener::bind(listen).await.expect("the port is still ours"),
        };
        let over = shared.begin_phase();
        let mut connections = JoinSet::new();
        let accepting = async {
            loop {
                let Ok((stream, _)) = listening.accept().await else { return };
                connections.spawn(serve(stream, Arc::clone(&shared)));
            }
        };
        over.run_until_cancelled(accepting).await;
        drop(listening);
        // What is being answered on the old connections still gets out.
        sleep(shared.settings.gap).await;
        connections.shutdown().await;
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let Some(config) = shared.tls() else {
        return setup::serve(stream, shared).await;
    };
    if let Ok(stream) = TlsAcceptor::from(config).accept(stream).await {
        let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first().cloned());
        runtime::serve(stream, shown, shared).await;
    }
}
