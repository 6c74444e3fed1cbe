//! Sends people from plain HTTP to the public address, while this Edge serves TLS itself.
//!
//! Never a trusted proxy, which speaks plain HTTP on purpose, nor whoever looks after the Edge's health. Where to comes
//! from `public_url` alone; nobody is sent anywhere by an Edge that was not told it.

use std::sync::atomic::{AtomicBool, Ordering};

use axum::{
    http::{HeaderName, Method, Request, header},
    response::{IntoResponse as _, Redirect as To, Response},
};

use super::front::Peer;
use crate::{
    certificate::Certificates,
    config::{PublicOrigin, PublicUrl},
};

/// Probes of this machine, and what clients ask before they trust an address.
const SERVED_PLAIN: [&str; 4] = ["/livez", "/readyz", "/api/v1/health", "/api/v1/health-grpc"];
/// Where the certificate authority looks.
const CHALLENGES: &str = "/.well-known/acme-challenge/";

static FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// A mark on requests that came over TLS.
#[derive(Debug, Clone, Copy)]
pub(super) struct OverTls;

#[derive(Debug)]
pub(super) struct Redirect {
    certificates: Certificates,
    /// `None`: people come by plain HTTP, or nobody knows by which address.
    origin: Option<PublicOrigin>,
    /// One line in the log is enough.
    is_proxy_reported: AtomicBool,
}

impl Redirect {
    pub(super) fn new(certificates: Certificates, public_url: PublicUrl, origin: PublicOrigin) -> Self {
        let leads_here = public_url == PublicUrl::Https && !origin.is_localhost();
        Self { certificates, origin: leads_here.then_some(origin), is_proxy_reported: AtomicBool::new(false) }
    }

    /// `None`: the request is to be served.
    ///
    /// Only plain questions are redirected. A POST has sent its secrets in the clear already, and not every client
    /// repeats it after a 308 (those built on Dart's HTTP client do not), nor opens a websocket somewhere else: a login
    /// that fails would win nothing.
    pub(super) fn of<B>(&self, peer: Peer, request: &Request<B>) -> Option<Response> {
        let origin = self.origin.as_ref()?;
        if peer.is_trusted || !self.certificates.are_served() || request.extensions().get::<OverTls>().is_some() {
            return None;
        }
        let is_question =
            matches!(*request.method(), Method::GET | Method::HEAD) && !request.headers().contains_key(header::UPGRADE);
        let path = request.uri().path();
        if !is_question || SERVED_PLAIN.contains(&path) || path.starts_with(CHALLENGES) {
            return None;
        }
        if request.headers().contains_key(&FORWARDED_FOR) && !self.is_proxy_reported.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                proxy = %peer.address,
                "redirected to HTTPS what seems to come through a proxy; if one is there, and people are redirected in \
                 a circle, name it in `trusted_proxies`"
            );
        }
        // Not what stands before the path: in an absolute target that is the client's word.
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
        Some(To::permanent(&format!("{}{target}", origin.as_str())).into_response())
    }
}
