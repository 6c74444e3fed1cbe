//! The port that Cores dial: adoption in the clear, then tunnels over mutual TLS.
//!
//! Which of the two is decided for each accepted connection, so the port never closes. Every
//! connection is a task of this listener and is joined before `run` returns.

use std::{io, net::SocketAddr, num::NonZeroU32, sync::Arc, time::Duration};

use postern_proto::service::proxy_setup_server::ProxySetupServer;
use rustls::pki_types::CertificateDer;
use tokio::{
    io::{AsyncRead, AsyncWrite, BufReader},
    net::TcpListener,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    connection::{self, Tasks},
    gate::{Gate, GateParts, Stage},
    port::Port,
    refusals::{Refusal, Refusals},
    registry::TunnelRegistry,
    service::TunnelService,
};
use crate::{
    acme::Acme,
    adoption::{Adoption, AdoptionPolicy},
    certificate::Certificates,
    identity::{Identity, IdentityStore},
    peers::{PeerCounts, Place},
};

/// A handful of Cores with an overlapping connection each, and strangers on probation.
const CONNECTIONS_MAX: usize = 64;
/// TLS asks for 4 KiB at a time; under load that would be one system call for every two replies.
const READ_AHEAD: usize = 32 * 1024;
/// Several Cores behind one address, and no stranger who takes every place.
const CONNECTIONS_MAX_PER_ADDRESS: NonZeroU32 = NonZeroU32::new(16).expect("16 is not zero");
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// A stock Core's token for an adoption lives that long. Nobody may hold a plaintext connection, and
/// with it a place, for longer.
const ADOPTION_CONNECTION_MAX: Duration = Duration::from_secs(300);

/// What a listener is made of.
#[derive(Debug)]
pub struct TunnelListenerConfig<P> {
    pub port: P,
    pub identity: IdentityStore,
    pub adoption: AdoptionPolicy,
    pub registry: TunnelRegistry,
    pub acme: Acme,
    pub certificates: Certificates,
}

/// A port, ready to serve.
#[derive(Debug)]
pub struct TunnelListener<P> {
    port: P,
    identity: IdentityStore,
    adoption: Adoption,
    registry: TunnelRegistry,
    acme: Acme,
    certificates: Certificates,
}

impl TunnelListener<TcpListener> {
    /// Where it listens; the port is chosen when 0 was asked for.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.port.local_addr()
    }
}

impl<P: Port> TunnelListener<P> {
    #[must_use]
    pub fn new(config: TunnelListenerConfig<P>) -> Self {
        let TunnelListenerConfig { port, identity, adoption, registry, acme, certificates } = config;
        registry.set_adopted(identity.current().is_some());
        let adoption = Adoption::new(adoption, identity.clone(), registry.clone(), certificates.clone());
        Self { port, identity, adoption, registry, acme, certificates }
    }

    /// Serves until `close`, then tells the Cores and ends the tunnels: cancel it when no request is
    /// in flight any more, and call [`TunnelRegistry::announce_leaving`] when the shutdown begins.
    pub async fn run(self, close: CancellationToken) {
        let mut serving = Serving::new(close);
        match self.identity.current() {
            Some(identity) => tracing::info!(ca_sha256 = %identity.authority(), "adopted; waiting for tunnels"),
            None => self.adoption.open_window(),
        }
        loop {
            let (socket, peer) = tokio::select! {
                biased;
                () = serving.close.cancelled() => break,
                accepted = self.port.accept() => accepted,
            };
            self.admit(socket, peer, &mut serving);
        }
        drop(self.port);
        self.registry.announce_leaving();
        self.registry.end_all();
        serving.tasks.close();
        serving.tasks.wait().await;
    }

    fn admit(&self, socket: P::Io, peer: SocketAddr, serving: &mut Serving) {
        let Some(seat) = serving.seat(peer) else { return };
        let accepted = Accepted {
            peer,
            identity: self.identity.clone(),
            adoption: self.adoption.clone(),
            registry: self.registry.clone(),
            acme: self.acme.clone(),
            certificates: self.certificates.clone(),
            refusals: serving.refusals.clone(),
            close: serving.close.clone(),
            _seat: seat,
        };
        serving.tasks.spawn(accepted.serve(socket));
    }
}

/// What the accept loop hands out and joins.
struct Serving {
    slots: Arc<Semaphore>,
    counts: PeerCounts,
    refusals: Refusals,
    tasks: TaskTracker,
    close: CancellationToken,
}

/// A connection's place, in all and of its address. Dropping it makes room.
struct Seat {
    _slot: OwnedSemaphorePermit,
    _place: Place,
}

impl Serving {
    fn new(close: CancellationToken) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
            counts: PeerCounts::new(CONNECTIONS_MAX_PER_ADDRESS),
            refusals: Refusals::default(),
            tasks: TaskTracker::new(),
            close,
        }
    }

    fn seat(&self, peer: SocketAddr) -> Option<Seat> {
        let place = self.counts.enter(peer.ip().to_canonical());
        let slot = Arc::clone(&self.slots).try_acquire_owned().ok();
        if let (Some(place), Some(slot)) = (place, slot) {
            return Some(Seat { _slot: slot, _place: place });
        }
        metrics::counter!("postern_edge_tunnel_connections_refused_total").increment(1);
        self.refusals.report(peer, Refusal::TooManyConnections);
        None
    }
}

/// What a connection is read from and written to.
trait Io: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Io for S {}

/// One accepted connection and what it needs.
struct Accepted {
    peer: SocketAddr,
    identity: IdentityStore,
    adoption: Adoption,
    registry: TunnelRegistry,
    acme: Acme,
    certificates: Certificates,
    refusals: Refusals,
    close: CancellationToken,
    _seat: Seat,
}

impl Accepted {
    async fn serve(self, socket: impl Io) {
        match self.identity.current() {
            None => self.serve_adoption(socket).await,
            Some(identity) => self.serve_tunnels(socket, &identity).await,
        }
    }

    async fn serve_adoption(self, socket: impl Io) {
        let adoption = ProxySetupServer::new(self.adoption.clone());
        let stage = Stage::Unadopted { adoption };
        let passed = CancellationToken::new();
        let gate = self.gate(stage, &passed);
        end_when(sleep(ADOPTION_CONNECTION_MAX), &self.close, |end| {
            connection::serve(socket, gate, Tasks::default(), passed, end)
        })
        .await;
    }

    async fn serve_tunnels(self, socket: impl Io, identity: &Identity) {
        let Some(stream) = self.handshake(socket, identity).await else { return };
        let tasks = Tasks::default();
        let tunnels = TunnelService {
            registry: self.registry.clone(),
            adoption: self.adoption.clone(),
            acme: self.acme.clone(),
            certificates: self.certificates.clone(),
            tasks: tasks.clone(),
        };
        let stage = Stage::Adopted { tunnels: tunnels.into_server(), certificate: certificate_of(&stream) };
        let passed = CancellationToken::new();
        let gate = self.gate(stage, &passed);
        let retired = identity.retired().cancelled();
        end_when(retired, &self.close, |end| connection::serve(stream, gate, tasks, passed, end)).await;
    }

    async fn handshake<S: Io>(&self, socket: S, identity: &Identity) -> Option<TlsStream<BufReader<S>>> {
        let acceptor = TlsAcceptor::from(Arc::clone(identity.tls()));
        let socket = BufReader::with_capacity(READ_AHEAD, socket);
        match timeout(HANDSHAKE_TIMEOUT, acceptor.accept(socket)).await {
            Ok(Ok(stream)) => return Some(stream),
            Ok(Err(error)) => match Refusal::of_handshake(&error) {
                Some(refusal) => self.refusals.report(self.peer, refusal),
                None => tracing::debug!(peer = %self.peer, %error, "a TLS handshake was broken off"),
            },
            Err(_) => tracing::debug!(peer = %self.peer, "a TLS handshake took too long"),
        }
        metrics::counter!("postern_edge_handshakes_failed_total").increment(1);
        None
    }

    fn gate(&self, stage: Stage, passed: &CancellationToken) -> Gate {
        Gate::new(GateParts {
            stage,
            adoption: self.adoption.clone(),
            identity: self.identity.clone(),
            passed: passed.clone(),
            peer: self.peer,
            refusals: self.refusals.clone(),
        })
    }
}

/// Runs a connection that is asked to end when the listener closes, or when `over` is ready.
async fn end_when<C: Future<Output = ()>>(
    over: impl Future<Output = ()>,
    close: &CancellationToken,
    connection: impl FnOnce(CancellationToken) -> C,
) {
    let end = close.child_token();
    let connection = connection(end.clone());
    let asking = async {
        over.await;
        end.cancel();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        biased;
        () = connection => {}
        () = asking => {}
    }
}

fn certificate_of<S>(stream: &TlsStream<S>) -> Option<CertificateDer<'static>> {
    let (_, session) = stream.get_ref();
    session.peer_certificates()?.first().map(|certificate| certificate.clone().into_owned())
}
