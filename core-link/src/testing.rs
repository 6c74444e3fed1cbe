//! An Edge for tests: a real server on a port of its own, with whatever bad manners are wanted.
//!
//! It does what it is told and no more: requests are sent by the test, replies are read by it.

use std::{net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    task::JoinSet,
    time::Instant,
};
use tokio_rustls::TlsAcceptor;
use tonic::Code;

use crate::edge::{Edge, EdgeAddress, EdgeId};

mod authority;
#[path = "../../tests/harness/ports.rs"]
#[allow(unreachable_pub, reason = "it belongs to the harness of whole-system tests")]
mod ports;
mod service;
mod stock;
mod tunnel;

pub use authority::FakeAuthority;
use authority::Identity;
pub use ports::free_address;
pub use service::PurgeSeen;
pub(crate) use service::{Shared, serve_proxy, serve_setup};
pub use stock::{AcmeScript, Pushed, StockEdge, StockSettings, Unanswered};
pub use tunnel::FakeTunnel;

/// How the Edge behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Like ours: speaks `postern.link`, answers probes.
    Ours,
    /// Like a stock one: knows nothing of `postern.link`.
    Stock,
    /// Like ours, but leaves probes unanswered.
    Mute,
    /// Like ours, but takes its time to say that a tunnel is open.
    OpensSlowly,
    /// Accepts connections and says nothing.
    Hangs,
    /// Ends each connection at once.
    HangsUp,
    /// Opens tunnels, but answers no other call.
    IgnoresCalls,
    /// Refuses every call.
    Refuses(Code, &'static str),
    /// Announces this version.
    Announces(&'static str),
    /// Presents another certificate of the same authority.
    Impostor,
    /// Presents a certificate of another authority.
    Stranger,
    /// Speaks TLS 1.2 only.
    OldTls,
}

/// A running Edge. Dropping it is its crash.
#[derive(Debug)]
pub struct FakeEdge {
    address: EdgeAddress,
    listen: SocketAddr,
    shared: Arc<Shared>,
    tunnels: mpsc::Receiver<FakeTunnel>,
    dials: watch::Receiver<Vec<Instant>>,
    accepting: JoinSet<()>,
}

impl FakeEdge {
    /// An adopted one.
    pub async fn start(manner: Manner) -> Self {
        Self::listen(manner, Some(FakeAuthority::new().adopt("127.0.0.1"))).await
    }

    /// One that waits for its adoption.
    pub async fn unadopted(manner: Manner) -> Self {
        Self::listen(manner, None).await
    }

    async fn listen(manner: Manner, identity: Option<Identity>) -> Self {
        let listen = free_address();
        let listener = TcpListener::bind(listen).await.expect("nobody else listens there");
        let (shared, tunnels, dials) = Shared::new(manner, identity);
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, Arc::clone(&shared)));
        let address = listen.to_string().parse().expect("a socket address is an address");
        Self { address, listen, shared, tunnels, dials, accepting }
    }

    /// Where it listens.
    pub fn address(&self) -> &EdgeAddress {
        &self.address
    }

    /// What a Core that adopted it knows of it.
    ///
    /// # Panics
    /// If it has no identity.
    pub fn edge(&self, id: EdgeId) -> Edge {
        let trust = self.shared.trust().expect("an adopted Edge");
        Edge { id, address: self.address.clone(), trust }
    }

    /// It has an identity now.
    pub fn is_adopted(&self) -> bool {
        self.shared.is_adopted()
    }

    /// Behaves otherwise from the next connection on.
    pub fn behave(&self, manner: Manner) {
        self.shared.behave(manner);
    }

    /// The next tunnel that Core opens.
    ///
    /// # Panics
    /// Never: the Edge outlives the wait.
    pub async fn tunnel(&mut self) -> FakeTunnel {
        self.tunnels.recv().await.expect("the Edge keeps the sender")
    }

    /// Waits until so many connections were accepted, and says when.
    ///
    /// # Panics
    /// Never: the Edge outlives the wait.
    pub async fn dials(&mut self, count: usize) -> Vec<Instant> {
        let dials = self.dials.wait_for(|dials| dials.len() >= count).await;
        dials.expect("the Edge keeps the sender").clone()
    }

    /// What was seen of each Purge.
    pub fn purges(&self) -> Vec<PurgeSeen> {
        self.shared.purges()
    }

    /// Cuts all connections and stops listening.
    pub async fn crash(&mut self) {
        self.accepting.shutdown().await;
    }

    /// Listens again where it did before.
    ///
    /// # Panics
    /// When the port is taken.
    pub async fn restart(&mut self) {
        let listener = TcpListener::bind(self.listen).await.expect("the port is still ours");
        self.accepting.spawn(accept(listener, Arc::clone(&self.shared)));
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { return };
                shared.note_dial();
                connections.spawn(serve(stream, Arc::clone(&shared)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let manner = shared.manner();
    if manner == Manner::HangsUp {
        return;
    }
    if manner == Manner::Hangs {
        std::future::pending::<()>().await;
    }
    let Some(config) = shared.tls(manner) else {
        return serve_setup(stream, shared).await;
    };
    if let Ok(stream) = TlsAcceptor::from(config).accept(stream).await {
        serve_proxy(stream, shared).await;
    }
}

/// What a connection may run over.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for T {}
