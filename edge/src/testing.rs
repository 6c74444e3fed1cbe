//! A Core for tests and benchmarks, over real sockets.
//!
//! It adopts an Edge through its real port, opens tunnels, and answers in its read loop, so that it
//! is never the slow part. It can misbehave in each way that an Edge must survive.

mod authority;
mod disguises;
mod edge;
mod fake_tunnel;
#[path = "../../tests/harness/ports.rs"]
#[allow(unreachable_pub, reason = "it belongs to the harness of whole-system tests")]
mod ports;
mod setup;
mod stock_core;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use hyper_util::rt::TokioIo;
use postern_proto::{
    limits::SESSION_KEY_LENGTH,
    link::{SessionKey as WireKey, SessionKeyRing},
    proxy::{CoreRequest, InitialInfo, core_response::Payload},
    rejection::Rejection,
    service::{ProxyClient, ProxySetupClient},
    version,
};
use rustls::{
    ClientConfig,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::{
    Request, Status,
    metadata::MetadataMap,
    transport::{Channel, Endpoint},
};

pub use self::{
    authority::Authority,
    edge::{TestEdge, no_acme},
    fake_tunnel::FakeTunnel,
    ports::free_address,
    setup::Setup,
    stock_core::{StockCore, StockManner},
};
use crate::tunnel::push::KeyId;

/// How often a stock Core pings an Edge, idle or not.
const STOCK_PING_INTERVAL: Duration = Duration::from_secs(10);

/// What a tunnel does with one request.
#[derive(Debug)]
pub enum Answer {
    /// The ordinary case.
    Reply(Payload),
    /// A `CoreError`.
    Reject(Rejection),
    /// Nothing now; [`FakeTunnel::reply`] may come late.
    Nothing,
    /// The same reply two times.
    Twice(Payload),
    /// The right id, then bytes that are no message.
    Garbage,
    /// Whatever these bytes are.
    Raw(bytes::Bytes),
    /// Ends the tunnel instead of a reply.
    HangUp,
}

/// Answers the requests of one tunnel, in its read loop.
pub type Answers = Arc<dyn Fn(&CoreRequest) -> Answer + Send + Sync>;

/// A Core: a CA, one client certificate, one session key.
#[derive(Debug, Clone)]
pub struct FakeCore {
    authority: Arc<Authority>,
    /// `None`: shows no certificate.
    client: Option<Arc<(CertificateDer<'static>, PrivateKeyDer<'static>)>>,
    /// `None`: speaks as a stock Core does.
    instance: Option<String>,
    session_key: [u8; SESSION_KEY_LENGTH],
}

impl Default for FakeCore {
    fn default() -> Self {
        Self::new()
    }
}

impl FakeCore {
    /// One of ours.
    #[must_use]
    pub fn new() -> Self {
        Self::with(Arc::new(Authority::new("Fake Root CA")), Some(random_id()))
    }

    /// A stock Core: no link, no instance.
    #[must_use]
    pub fn stock() -> Self {
        Self::with(Arc::new(Authority::new("Defguard CA")), None)
    }

    fn with(authority: Arc<Authority>, instance: Option<String>) -> Self {
        let client = Some(Arc::new(authority.client("Any label, even with spaces")));
        Self { authority, client, instance, session_key: [7; SESSION_KEY_LENGTH] }
    }

    /// The CA that signs both certificates.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The client certificate, as it goes into a bundle.
    ///
    /// # Panics
    /// When it has none.
    #[must_use]
    pub fn client_certificate(&self) -> &CertificateDer<'static> {
        &self.client.as_ref().expect("only an anonymous one has none").0
    }

    /// The key that [`Self::connect`] pushes.
    #[must_use]
    pub fn session_key(&self) -> &[u8; SESSION_KEY_LENGTH] {
        &self.session_key
    }

    /// Opens the plaintext connection of an adoption and calls Start.
    ///
    /// # Errors
    /// What the Edge answers.
    pub async fn start_setup(&self, edge: SocketAddr, token: &str) -> Result<Setup, Status> {
        Setup::start(self.setup_client(edge).await, token).await
    }

    /// A plaintext connection on which nothing was called yet.
    pub async fn setup_client(&self, edge: SocketAddr) -> ProxySetupClient<Channel> {
        let endpoint = Endpoint::from_shared(format!("http://{edge}")).expect("an address makes a URL");
        ProxySetupClient::new(endpoint.connect().await.expect("the edge listens"))
    }

    /// The whole adoption, as a Core does it.
    ///
    /// # Errors
    /// What the Edge answers.
    pub async fn adopt(&self, edge: SocketAddr) -> Result<(), Status> {
        let mut setup = self.start_setup(edge, "Bearer adoption").await?;
        let host = edge.ip().to_string();
        let request = setup.signing_request(&host).await?;
        setup.send(self.authority.bundle(&request, self.client_certificate())).await
    }

    /// Opens a tunnel and pushes the session key.
    pub async fn connect(
        &self,
        edge: SocketAddr,
        answers: impl Fn(&CoreRequest) -> Answer + Send + Sync + 'static,
    ) -> FakeTunnel {
        let tunnel = self.try_connect(edge, Arc::new(answers)).await.expect("the edge accepts a tunnel");
        tunnel.push(Payload::InitialInfo(InitialInfo { private_cookies_key: self.session_key.to_vec() })).await;
        if self.instance.is_some() {
            tunnel.push(Payload::SessionKeyRing(ring(1, &[&self.session_key]))).await;
        }
        tunnel
    }

    /// Opens a tunnel and pushes nothing.
    ///
    /// # Errors
    /// What the Edge answers, or how TLS failed.
    pub async fn try_connect(&self, edge: SocketAddr, answers: Answers) -> Result<FakeTunnel, Status> {
        FakeTunnel::open(self.client(edge).await?, self.headers(), answers).await
    }

    /// A TLS connection to an adopted Edge.
    ///
    /// # Errors
    /// How TLS failed.
    pub async fn client(&self, edge: SocketAddr) -> Result<ProxyClient<Channel>, Status> {
        let tls = TlsConnector::from(Arc::new(self.tls()));
        let connector = tower::service_fn(move |_| {
            let tls = tls.clone();
            async move {
                let socket = TcpStream::connect(edge).await?;
                socket.set_nodelay(true)?;
                tls.connect(ServerName::from(edge.ip()), socket).await.map(TokioIo::new)
            }
        });
        let endpoint = Endpoint::from_shared(format!("http://{edge}")).expect("an address makes a URL");
        let endpoint = endpoint.initial_stream_window_size(1 << 20).initial_connection_window_size(1 << 20);
        let endpoint = match &self.instance {
            Some(_) => endpoint,
            // A stock one has no other way to see that an Edge is gone.
            None => endpoint.http2_keep_alive_interval(STOCK_PING_INTERVAL).keep_alive_while_idle(true),
        };
        let channel = endpoint.connect_with_connector(connector).await;
        Ok(ProxyClient::new(channel.map_err(|error| Status::unavailable(format!("{error:?}")))?))
    }

    /// Lets go of an Edge, on a connection of its own.
    ///
    /// # Errors
    /// What the Edge answers.
    pub async fn purge(&self, edge: SocketAddr) -> Result<(), Status> {
        let request = self.introduced(());
        self.client(edge).await?.purge(request).await.map(|_| ())
    }

    /// A request that carries our headers.
    #[must_use]
    pub fn introduced<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        *request.metadata_mut() = self.headers();
        request
    }

    fn headers(&self) -> MetadataMap {
        let mut headers = introduction();
        if let Some(instance) = &self.instance {
            headers.insert(version::LINK, version::LINK_REVISION.parse().expect("a digit"));
            headers.insert(version::CORE_INSTANCE, instance.parse().expect("hexadecimal digits"));
        }
        headers
    }

    fn tls(&self) -> ClientConfig {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has them")
            .with_root_certificates(self.authority.roots());
        let mut config = match self.client.as_deref() {
            Some((certificate, key)) => config
                .with_client_auth_cert(vec![certificate.clone()], key.clone_key())
                .expect("the key is the certificate's"),
            None => config.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        config
    }
}

/// A ring whose first key seals.
#[must_use]
pub fn ring(epoch: u64, keys: &[&[u8; SESSION_KEY_LENGTH]]) -> SessionKeyRing {
    let keys: Vec<_> = keys.iter().map(|key| WireKey { id: KeyId::of(key).0.to_vec(), key: key.to_vec() }).collect();
    let primary_id = keys.first().map(|key| key.id.clone()).unwrap_or_default();
    SessionKeyRing { epoch, primary_id, keys }
}

/// An Edge that this Core has adopted.
///
/// # Panics
/// When it cannot be adopted.
pub async fn adopted_edge(folder: &std::path::Path, core: &FakeCore) -> TestEdge {
    let edge = TestEdge::start(folder);
    core.adopt(edge.address).await.expect("a new edge can be adopted");
    edge
}

/// Waits until it is so.
///
/// # Panics
/// After ten seconds, with `what`.
pub async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(10), async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    assert!(waited.await.is_ok(), "not within ten seconds: {what}");
}

/// An empty reply.
#[must_use]
pub fn empty() -> Answer {
    Answer::Reply(Payload::Empty(()))
}

fn introduction() -> MetadataMap {
    let mut headers = MetadataMap::new();
    headers.insert(version::COMPONENT_VERSION, version::ANNOUNCED.parse().expect("printable"));
    headers.insert(version::COMPONENT_SYSTEM, version::system().parse().expect("printable"));
    headers
}

fn random_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}
