//! Who may call what on one connection, decided anew for each call.
//!
//! Before adoption: anybody whom the policy admits, adoption only. After: the one certificate of the
//! Core that adopted us, tunnels only. Every reply, also a refusal, carries our version.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, LazyLock},
};

use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use postern_proto::{
    service::{proxy_server::ProxyServer, proxy_setup_server::ProxySetupServer},
    version::{self, Peer, VersionError},
};
use rustls::pki_types::CertificateDer;
use tokio_util::sync::CancellationToken;
use tonic::{Status, body::Body};
use tower::Service as _;

use super::{
    refusals::{Refusal, Refusals},
    service::TunnelService,
};
use crate::{adoption::Adoption, identity::IdentityStore};

const BIDI: &str = "/defguard.proxy.v2.Proxy/Bidi";

static SYSTEM: LazyLock<HeaderValue> =
    LazyLock::new(|| HeaderValue::from_str(&version::system()).unwrap_or(HeaderValue::from_static("?;?;?")));

/// What a connection is for, by the stage in which it was accepted.
#[derive(Debug, Clone)]
pub(super) enum Stage {
    Unadopted { adoption: ProxySetupServer<Adoption> },
    Adopted { tunnels: ProxyServer<TunnelService>, certificate: Option<CertificateDer<'static>> },
}

/// The service of one connection.
#[derive(Debug, Clone)]
pub(super) struct Gate {
    parts: Arc<GateParts>,
}

#[derive(Debug)]
pub(super) struct GateParts {
    pub(super) stage: Stage,
    pub(super) adoption: Adoption,
    pub(super) identity: IdentityStore,
    /// Cancelled when the first call was let through: until then the connection is on probation.
    pub(super) passed: CancellationToken,
    pub(super) peer: SocketAddr,
    pub(super) refusals: Refusals,
}

impl Gate {
    pub(super) fn new(parts: GateParts) -> Self {
        Self { parts: Arc::new(parts) }
    }

    /// The stock order: the caller first, then its version.
    fn check(&self, request: &Request<Incoming>) -> Result<Peer, Status> {
        match &self.parts.stage {
            Stage::Unadopted { .. } => self.check_unadopted()?,
            Stage::Adopted { certificate, .. } => self.check_core(certificate.as_ref())?,
        }
        let peer = Peer::parse(request.headers()).map_err(|error| self.refuse_version(&error))?;
        self.parts.passed.cancel();
        Ok(peer)
    }

    fn check_unadopted(&self) -> Result<(), Status> {
        if self.parts.identity.current().is_some() {
            return Err(Status::permission_denied("This edge has been adopted: it speaks TLS only"));
        }
        if !self.parts.adoption.policy().admits(self.parts.peer.ip()) {
            self.refuse(Refusal::AdoptionFrom);
            return Err(Status::permission_denied("This address may not adopt the edge"));
        }
        Ok(())
    }

    fn check_core(&self, certificate: Option<&CertificateDer<'static>>) -> Result<(), Status> {
        let certificate = certificate.ok_or_else(|| Status::unauthenticated("Missing client certificate"))?;
        match self.parts.identity.current() {
            Some(identity) if identity.is_core(certificate) => Ok(()),
            Some(_) | None => {
                self.refuse(Refusal::OtherCertificate);
                Err(Status::unauthenticated("Client certificate serial mismatch"))
            }
        }
    }

    /// Begins as a stock Edge's answer does, and goes on with what to do. The log says the same.
    fn refuse_version(&self, error: &VersionError) -> Status {
        let refusal = match error {
            VersionError::Missing => Refusal::NoVersion,
            VersionError::TooOld { found } => Refusal::TooOld { version: (found.major, found.minor, found.patch) },
        };
        self.refuse(refusal);
        Status::failed_precondition(refusal.to_string())
    }

    fn refuse(&self, refusal: Refusal) {
        self.parts.refusals.report(self.parts.peer, refusal);
    }
}

impl hyper::service::Service<Request<Incoming>> for Gate {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let on_tunnel = request.uri().path() == BIDI;
        let checked = self.check(&request).map(|peer| (peer, self.parts.stage.clone()));
        Box::pin(async move {
            let mut response = match checked {
                Ok((peer, Stage::Unadopted { mut adoption, .. })) => {
                    request.extensions_mut().insert(peer);
                    adoption.call(request).await?
                }
                Ok((peer, Stage::Adopted { mut tunnels, .. })) => {
                    request.extensions_mut().insert(peer);
                    tunnels.call(request).await?
                }
                Err(status) => status.into_http(),
            };
            introduce(&mut response, on_tunnel);
            Ok(response)
        })
    }
}

fn introduce(response: &mut Response<Body>, on_tunnel: bool) {
    let headers = response.headers_mut();
    headers.insert(version::COMPONENT_VERSION, HeaderValue::from_static(version::ANNOUNCED));
    headers.insert(version::COMPONENT_SYSTEM, SYSTEM.clone());
    if on_tunnel {
        headers.insert(version::LINK, HeaderValue::from_static(version::LINK_REVISION));
    }
}
