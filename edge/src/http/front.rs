//! What every request passes, in one service instead of a stack of layers: id, deadline, headers, metrics, panics.
//!
//! This is the hot path: no task, no lock, and no allocation that can be avoided.

use std::{convert::Infallible, fmt, net::IpAddr, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, Uri, Version, header},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use futures::FutureExt as _;
use tokio::time::Instant;
use tower::Service as _;
use tracing::Instrument as _;

use super::{
    App, Parts,
    arrival::{Arrival, RequestId, RequestIds},
    cross_site,
    error::{Answer, ApiError, HeadError},
    headers::{Occasion, ResponseHeaders},
    measure::RequestMetrics,
    redirect::Redirect,
    router,
};
use crate::drain::Drain;

/// Answers requests. Clones are the same front.
#[derive(Clone)]
pub struct Front(Arc<Shared>);

struct Shared {
    app: App,
    router: Router,
    request_ids: RequestIds,
    headers: ResponseHeaders,
    redirect: Redirect,
    metrics: RequestMetrics,
}

/// The other end of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer {
    pub(super) address: IpAddr,
    pub(super) is_trusted: bool,
}

impl fmt::Debug for Front {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Front").finish_non_exhaustive()
    }
}

impl Front {
    pub fn new(parts: Parts) -> Self {
        let headers = ResponseHeaders::new(parts.public_url, parts.exposed_name.as_ref(), parts.registry.clone());
        let app = App(Arc::new(parts));
        let router = router(app.clone());
        Self::assemble(app, router, headers)
    }

    fn assemble(app: App, router: Router, headers: ResponseHeaders) -> Self {
        let parts = &app.0;
        let redirect = Redirect::new(parts.certificates.clone(), parts.public_url, parts.public_origin.clone());
        let (request_ids, metrics) = (RequestIds::new(), RequestMetrics::new());
        Self(Arc::new(Shared { app, router, headers, redirect, request_ids, metrics }))
    }

    pub(super) fn drain(&self) -> &Drain {
        &self.0.app.0.drain
    }

    /// Returns when no websocket is left: their connections are not the listener's any more.
    pub(super) async fn websockets_ended(&self) {
        self.0.app.0.websockets.ended().await;
    }

    /// Who a connection comes from.
    pub(super) fn peer(&self, address: IpAddr) -> Peer {
        let address = address.to_canonical();
        Peer { address, is_trusted: self.0.app.trusted_proxies().contains(address) }
    }

    /// Answers one request; whatever happens, there is a response with all headers.
    pub(super) async fn answer<B>(self, peer: Peer, request: Request<B>) -> Result<Response, Infallible>
    where
        B: http_body::Body<Data = Bytes, Error: Into<axum::BoxError>> + Send + 'static,
    {
        let shared = &*self.0;
        let received = Instant::now();
        let request_id = shared.request_ids.of(peer.is_trusted, request.headers());
        let metrics = shared.metrics.of(request.uri().path());
        let is_api = request.uri().path().starts_with("/api/");
        let refusal = shared.refusal(&request);
        // After a body of doubtful length nobody knows where the next request begins.
        let is_ambiguous = matches!(refusal, Some(ApiError::LengthUnknown | ApiError::HostUnclear));
        let span = tracing::debug_span!("request", id = request_id.as_str());

        let mut response = match refusal {
            Some(refusal) => refusal.into_response(),
            None => shared.handle(peer, received, request).instrument(span).await,
        };
        if let Some(answer) = response.extensions_mut().remove::<Answer>() {
            response = written(answer, &request_id, &response);
        }
        let is_upgrade = response.headers().contains_key(header::UPGRADE);
        let closes = is_ambiguous || (shared.app.is_draining() && !is_upgrade);
        shared.headers.write(response.headers_mut(), &Occasion { request_id: &request_id, is_api, closes });
        metrics.count(response.status(), received.elapsed());
        Ok(response)
    }

    /// Answers a request of which nothing is known, because its head could not be read. The connection ends with it.
    pub(super) fn answer_unread(&self, peer: Peer, error: HeadError) -> Response {
        let shared = &*self.0;
        let request_id = shared.request_ids.of(peer.is_trusted, &HeaderMap::new());
        let mut response = Answer::from(ApiError::Head(error)).write(&request_id);
        let occasion = Occasion { request_id: &request_id, is_api: true, closes: true };
        shared.headers.write(response.headers_mut(), &occasion);
        shared.metrics.of("").count(response.status(), Duration::ZERO);
        response
    }
}

impl Shared {
    /// Why a request is not even looked at.
    fn refusal<B>(&self, request: &Request<B>) -> Option<ApiError> {
        let (uri, headers) = (request.uri(), request.headers());
        if has_unclear_length(headers) {
            return Some(ApiError::LengthUnknown);
        }
        if has_unclear_host(request.version(), uri, headers) {
            return Some(ApiError::HostUnclear);
        }
        let is_foreign = cross_site::is_refused(request.method(), uri, headers, self.app.public_origin());
        is_foreign.then_some(ApiError::CrossSite)
    }

    async fn handle<B>(&self, peer: Peer, received: Instant, mut request: Request<B>) -> Response
    where
        B: http_body::Body<Data = Bytes, Error: Into<axum::BoxError>> + Send + 'static,
    {
        if let Some(redirected) = self.redirect.of(peer, &request) {
            return redirected;
        }
        let arrival = Arrival::new(peer.address, peer.is_trusted, received, request.headers());
        request.extensions_mut().insert(arrival);
        let answered = self.router.clone().call(request.map(Body::new));
        match AssertUnwindSafe(answered).catch_unwind().await {
            Ok(Ok(response)) => response,
            Ok(Err(never)) => match never {},
            Err(_panic) => ApiError::Panicked.into_response(),
        }
    }
}

/// hyper accepts a request that has both a `Transfer-Encoding` and a `Content-Length`, and hides the latter, so a
/// front server that reads it the other way round could be fooled. No client needs a body of unknown length.
fn has_unclear_length(headers: &HeaderMap) -> bool {
    headers.contains_key(header::TRANSFER_ENCODING)
}

/// RFC 9112 3.2: one `Host`, and the same one where the target names a host too. Old health checks speak HTTP/1.0 and
/// send none; in HTTP/2 the target names it.
fn has_unclear_host(version: Version, uri: &Uri, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next(), uri.authority()) {
        (None, None, authority) => version == Version::HTTP_11 && authority.is_none(),
        (Some(host), None, Some(authority)) => !host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes()),
        (Some(host), None, None) => host.is_empty() && version == Version::HTTP_11,
        (_, Some(_), _) => true,
    }
}

/// The error as JSON, with what axum has to say beside it (`Allow` of a 405).
fn written(answer: Answer, request_id: &RequestId, plain: &Response) -> Response {
    let mut response = answer.write(request_id);
    if let Some(methods) = plain.headers().get(header::ALLOW) {
        response.headers_mut().insert(header::ALLOW, methods.clone());
    }
    response
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, num::NonZeroU32};

    use axum::{
        body::to_bytes,
        http::{Method, StatusCode},
        routing::get,
    };

    use super::*;
    use crate::{
        acme::Challenges,
        certificate::Certificates,
        config::{self, PublicUrl, Settings},
        core_client::CoreClient,
        http::{
            TrustedProxies,
            remote_mfa::{WebsocketLimits, Websockets},
        },
        tunnel::{push::SessionKeys, registry::TunnelRegistry},
    };

    const PEER: Peer = Peer { address: IpAddr::V4(Ipv4Addr::LOCALHOST), is_trusted: false };

    fn front(with: impl FnOnce(Router) -> Router) -> Front {
        let session_keys = SessionKeys::default();
        let registry = TunnelRegistry::new(session_keys.clone());
        let app = App(Arc::new(Parts {
            core: CoreClient::new(registry.clone()),
            registry: registry.clone(),
            session_keys,
            trusted_proxies: TrustedProxies::default(),
            public_url: PublicUrl::Https,
            public_origin: settings().public_origin,
            exposed_name: None,
            websockets: Websockets::new(WebsocketLimits {
                websockets_max: NonZeroU32::MIN,
                websockets_max_per_address: NonZeroU32::MIN,
                lifetime: Duration::ZERO,
                ping_interval: Duration::ZERO,
                grace: Duration::ZERO,
            }),
            certificates: Certificates::default(),
            challenges: Challenges::default(),
            drain: Drain::default(),
        }));
        let router = with(router(app.clone()));
        Front::assemble(app, router, ResponseHeaders::new(PublicUrl::Https, None, registry))
    }

    fn settings() -> Settings {
        config::parse(["postern-edge", "--public-url", "https://edge/"].map(Into::into), []).unwrap().settings
    }

    async fn panics() -> &'static str {
        panic!("a secret")
    }

    #[tokio::test]
    async fn a_panic_becomes_one_internal_reply() {
        let front = front(|router| router.route("/panics", get(panics)));
        let request = Request::get("/panics").header(header::HOST, "edge").body(Body::empty()).unwrap();
        let Ok(response) = front.answer(PEER, request).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        let body = to_bytes(response.into_body(), 1000).await.unwrap();
        let text = std::str::from_utf8(&body).unwrap();
        assert!(text.starts_with(r#"{"error":"Internal server error","code":"internal","#), "{text}");
    }

    #[tokio::test]
    async fn every_form_of_target_gets_an_answer() {
        let front = front(|router| router);
        for (method, target, host) in [
            (Method::OPTIONS, "*", "edge"),
            (Method::CONNECT, "edge:443", "edge:443"),
            (Method::GET, "http://edge/nothing", "edge"),
            (Method::GET, "/%00%ff?%zz", "edge"),
            (Method::GET, "//api//v1/poll", "edge"),
        ] {
            let request = Request::builder().method(method).uri(target).header(header::HOST, host);
            let request = request.body(Body::empty()).unwrap();
            let Ok(response) = front.clone().answer(PEER, request).await;
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{target}");
        }
    }
}
