//! The two gRPC services of an Edge, over any connection.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use http::{HeaderMap, HeaderValue};
use hyper::{body::Incoming, server::conn::http2};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use postern_proto::{
    common::{CertBundle, CertificateInfo, DerPayload, LogEntry},
    proxy::{AcmeChallenge, AcmeIssueEvent},
    service::{
        proxy_server::{Proxy, ProxyServer},
        proxy_setup_server::{ProxySetup, ProxySetupServer},
    },
    version,
};
use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::ServerConfig;
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{Request, Response, Status, Streaming, body::Body};
use tower::ServiceExt as _;

use super::{FakeAuthority, FakeTunnel, Io, Manner, authority::Identity, tunnel};
use crate::edge::EdgeTrust;

/// Tunnels that no test has asked for.
const TUNNELS_MAX: usize = 64;

/// How long a slow Edge takes.
const SLOW: Duration = Duration::from_millis(200);

/// What the connections of one Edge share.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    tunnels: mpsc::Sender<FakeTunnel>,
    dials: watch::Sender<Vec<Instant>>,
}

#[derive(Debug)]
struct State {
    manner: Manner,
    identity: Option<Identity>,
    /// Key of the request, until the certificate for it comes.
    key: Option<KeyPair>,
    bearer: Option<HeaderValue>,
    open: Vec<tunnel::Watch>,
    purges: Vec<PurgeSeen>,
}

/// What was seen when Core asked the Edge to forget its identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PurgeSeen {
    /// A tunnel was open.
    pub tunnel_open: bool,
    /// Core had announced on it that it drains.
    pub draining: bool,
}

impl Shared {
    pub(crate) fn new(
        manner: Manner,
        identity: Option<Identity>,
    ) -> (Arc<Self>, mpsc::Receiver<FakeTunnel>, watch::Receiver<Vec<Instant>>) {
        let (tunnels, opened) = mpsc::channel(TUNNELS_MAX);
        let (dials, dialed) = watch::channel(Vec::new());
        let state = State { manner, identity, key: None, bearer: None, open: Vec::new(), purges: Vec::new() };
        (Arc::new(Self { state: Mutex::new(state), tunnels, dials }), opened, dialed)
    }

    pub(super) fn trust(&self) -> Option<EdgeTrust> {
        self.with(|state| state.identity.as_ref()?.trust.clone())
    }

    pub(super) fn is_adopted(&self) -> bool {
        self.with(|state| state.identity.is_some())
    }

    pub(super) fn behave(&self, manner: Manner) {
        self.with(|state| state.manner = manner);
    }

    pub(super) fn manner(&self) -> Manner {
        self.with(|state| state.manner)
    }

    pub(super) fn purges(&self) -> Vec<PurgeSeen> {
        self.with(|state| state.purges.clone())
    }

    pub(super) fn note_dial(&self) {
        self.dials.send_modify(|dials| dials.push(Instant::now()));
    }

    /// What it presents; `None` before its adoption.
    pub(super) fn tls(&self, manner: Manner) -> Option<Arc<ServerConfig>> {
        self.with(|state| {
            let identity = state.identity.as_ref()?;
            match manner {
                Manner::Stranger => Some(FakeAuthority::new().adopt("127.0.0.1").server_config()),
                Manner::Impostor => Some(identity.spare.as_deref().unwrap_or(identity).server_config()),
                Manner::OldTls => Some(identity.server_config_of(&[&rustls::version::TLS12])),
                Manner::Ours
                | Manner::Stock
                | Manner::Mute
                | Manner::OpensSlowly
                | Manner::Hangs
                | Manner::HangsUp
                | Manner::IgnoresCalls
                | Manner::Refuses(..)
                | Manner::Announces(_) => Some(identity.server_config()),
            }
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Serves tunnels over one connection.
pub(crate) async fn serve_proxy(io: impl Io, shared: Arc<Shared>) {
    let cut = CancellationToken::new();
    let manner = shared.manner();
    let service = ProxyServer::new(Adopted { shared, cut: cut.clone() });
    cut.run_until_cancelled(serve(io, service, manner)).await;
}

/// Serves an adoption over one connection.
pub(crate) async fn serve_setup(io: impl Io, shared: Arc<Shared>) {
    let manner = shared.manner();
    let service = ProxySetupServer::new(Unadopted { shared });
    serve(io, service, manner).await;
}

async fn serve<S>(io: impl Io, service: S, manner: Manner)
where
    S: tower::Service<http::Request<Incoming>, Response = http::Response<Body>, Error = std::convert::Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    let service = service.map_response(move |reply| introduced(reply, manner));
    let connection = http2::Builder::new(Executor::default())
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(io), TowerToHyperService::new(service));
    // How a connection ends is Core's to notice.
    drop(connection.await);
}

#[derive(Clone, Default)]
pub(super) struct Executor(TaskTracker);

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Executor {
    fn execute(&self, future: F) {
        self.0.spawn(future);
    }
}

fn introduced(mut reply: http::Response<Body>, manner: Manner) -> http::Response<Body> {
    let headers: &mut HeaderMap = reply.headers_mut();
    let announced = if let Manner::Announces(version) = manner { version } else { version::ANNOUNCED };
    headers.insert(version::COMPONENT_VERSION, HeaderValue::from_static(announced));
    headers.insert(version::COMPONENT_SYSTEM, HeaderValue::from_static("Test;1;?"));
    if manner != Manner::Stock {
        headers.insert(version::LINK, HeaderValue::from_static(version::LINK_REVISION));
    }
    reply
}

struct Adopted {
    shared: Arc<Shared>,
    cut: CancellationToken,
}

type Replies<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Proxy for Adopted {
    type BidiStream = Replies<Bytes>;
    type TriggerAcmeStream = Replies<AcmeIssueEvent>;

    async fn bidi(&self, request: Request<Streaming<Bytes>>) -> Result<Response<Self::BidiStream>, Status> {
        let manner = self.shared.manner();
        refuse(manner)?;
        let (tunnel, watch, stream) = FakeTunnel::open(request, manner, self.cut.clone());
        self.shared.with(|state| state.open.push(watch));
        self.shared.tunnels.send(tunnel).await.map_err(|_| Status::unavailable("the test is over"))?;
        if manner == Manner::OpensSlowly {
            tokio::time::sleep(SLOW).await;
        }
        Ok(Response::new(Box::pin(stream)))
    }

    async fn purge(&self, _: Request<()>) -> Result<Response<()>, Status> {
        let manner = self.shared.manner();
        if manner == Manner::IgnoresCalls {
            std::future::pending::<()>().await;
        }
        refuse(manner)?;
        self.shared.with(|state| {
            let open = state.open.iter().find(|tunnel| tunnel.is_open());
            let seen =
                PurgeSeen { tunnel_open: open.is_some(), draining: open.is_some_and(tunnel::Watch::is_draining) };
            state.purges.push(seen);
            state.identity = None;
        });
        Ok(Response::new(()))
    }

    async fn trigger_acme(&self, _: Request<AcmeChallenge>) -> Result<Response<Self::TriggerAcmeStream>, Status> {
        Err(Status::unimplemented("not needed by any test"))
    }
}

struct Unadopted {
    shared: Arc<Shared>,
}

impl Unadopted {
    fn check<T>(&self, request: &Request<T>) -> Result<(), Status> {
        let known = self.shared.with(|state| state.bearer.clone());
        let given = request.metadata().as_ref().get("authorization");
        if known.is_some() && known.as_ref() == given {
            Ok(())
        } else {
            Err(Status::unauthenticated("Invalid session token"))
        }
    }
}

#[tonic::async_trait]
impl ProxySetup for Unadopted {
    type StartStream = Replies<LogEntry>;

    async fn start(&self, request: Request<()>) -> Result<Response<Self::StartStream>, Status> {
        refuse(self.shared.manner())?;
        let bearer = request.metadata().as_ref().get("authorization").cloned();
        self.shared.with(|state| state.bearer = bearer);
        let entry = LogEntry { level: "INFO".into(), message: "adoption\nbegun".into(), ..LogEntry::default() };
        Ok(Response::new(Box::pin(futures::stream::iter([Ok(entry)]).chain(futures::stream::pending()))))
    }

    async fn get_csr(&self, request: Request<CertificateInfo>) -> Result<Response<DerPayload>, Status> {
        self.check(&request)?;
        if self.shared.manner() == Manner::IgnoresCalls {
            std::future::pending::<()>().await;
        }
        let internal = |error: rcgen::Error| Status::internal(error.to_string());
        let key = KeyPair::generate().map_err(internal)?;
        let mut params = CertificateParams::new(vec![request.into_inner().cert_hostname]).map_err(internal)?;
        params.distinguished_name.push(DnType::CommonName, "Test Edge");
        let csr = params.serialize_request(&key).map_err(internal)?;
        self.shared.with(|state| state.key = Some(key));
        Ok(Response::new(DerPayload { der_data: csr.der().to_vec() }))
    }

    async fn send_cert(&self, request: Request<CertBundle>) -> Result<Response<()>, Status> {
        self.check(&request)?;
        let bundle = request.into_inner();
        if bundle.component_cert_der.is_empty() {
            return Err(Status::invalid_argument("the bundle has no certificate"));
        }
        let stored = self.shared.with(|state| {
            let edge_key = state.key.take()?.into();
            let (edge_cert, ca_cert) = (bundle.component_cert_der.into(), bundle.ca_cert_der.into());
            state.identity = Some(Identity { edge_cert, edge_key, ca_cert, trust: None, spare: None });
            Some(())
        });
        stored.map(Response::new).ok_or_else(|| Status::internal("no key"))
    }
}

fn refuse(manner: Manner) -> Result<(), Status> {
    if let Manner::Refuses(code, text) = manner { Err(Status::new(code, text)) } else { Ok(()) }
}
