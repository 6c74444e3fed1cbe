//! Its adoption: the first who comes, by a session that is one string.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures::Stream;
use postern_proto::{
    common::{CertBundle, CertificateInfo, DerPayload, LogEntry},
    service::proxy_setup_server::{ProxySetup, ProxySetupServer},
};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use tonic::{Request, Response, Status};

use super::{
    bundle,
    interceptors::{self, check_version},
    state::{Session, Shared, State},
};
use crate::testing::Io;

pub(super) async fn serve(io: impl Io, shared: Arc<Shared>) {
    let service = ProxySetupServer::new(Setup { shared: Arc::clone(&shared) });
    interceptors::serve(io, service, shared, |_, headers| check_version(headers)).await;
}

struct Setup {
    shared: Arc<Shared>,
}

/// The log that Start streams: silent, and the end of the session when Core drops it.
pub(super) struct Log {
    shared: Arc<Shared>,
    session: u64,
}

impl Stream for Log {
    type Item = Result<LogEntry, Status>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Pending
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.shared.with(|state| {
            state.session.take_if(|session| session.number == self.session);
        });
    }
}

#[tonic::async_trait]
impl ProxySetup for Setup {
    type StartStream = Log;

    async fn start(&self, request: Request<()>) -> Result<Response<Log>, Status> {
        let bearer = bearer(&request)?;
        let window = self.shared.settings.adoption_window;
        let session = self.shared.with(|state| {
            if state.window_opened.elapsed() >= window {
                return Err(Status::failed_precondition("Adoption window has expired; restart to adopt"));
            }
            if state.session.is_some() {
                return Err(Status::resource_exhausted("Setup already in progress"));
            }
            state.sessions_begun += 1;
            let number = state.sessions_begun;
            state.session = Some(Session { number, bearer, key: None });
            Ok(number)
        })?;
        Ok(Response::new(Log { shared: Arc::clone(&self.shared), session }))
    }

    async fn get_csr(&self, request: Request<CertificateInfo>) -> Result<Response<DerPayload>, Status> {
        let bearer = bearer(&request)?;
        let host = request.into_inner().cert_hostname;
        let internal = |error: rcgen::Error| Status::internal(error.to_string());
        let key = KeyPair::generate().map_err(internal)?;
        let mut params = CertificateParams::new(vec![host.clone()]).map_err(internal)?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "Defguard Proxy");
        params.distinguished_name.push(DnType::OrganizationName, "Defguard");
        let der_data = params.serialize_request(&key).map_err(internal)?.der().to_vec();
        self.shared.with(|state| {
            session(state, &bearer)?.key = Some((key, host));
            Ok(Response::new(DerPayload { der_data }))
        })
    }

    async fn send_cert(&self, request: Request<CertBundle>) -> Result<Response<()>, Status> {
        let bearer = bearer(&request)?;
        let key = self.shared.with(|state| session(state, &bearer).map(|session| session.key.take()))?;
        let outcome = match key {
            Some((key, host)) => bundle::check(request.into_inner(), key, &host),
            None => Err(Status::internal("Key pair is missing")),
        };
        match outcome {
            Ok(identity) => {
                self.shared.adopt(identity);
                Ok(Response::new(()))
            }
            Err(status) => {
                self.shared.with(|state| state.session = None);
                Err(status)
            }
        }
    }
}

fn bearer<T>(request: &Request<T>) -> Result<String, Status> {
    let header = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
    let token = header.and_then(|header| header.strip_prefix("Bearer "));
    token.map(str::to_owned).ok_or_else(|| Status::unauthenticated("Missing or invalid authorization token"))
}

fn session<'a>(state: &'a mut State, bearer: &str) -> Result<&'a mut Session, Status> {
    let session = state.session.as_mut().filter(|session| session.bearer == bearer);
    session.ok_or_else(|| Status::unauthenticated("Invalid session token"))
}
