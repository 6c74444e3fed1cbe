//! What stands around both services: checks whose refusals carry no version headers, and the headers of all the rest.

use std::{convert::Infallible, sync::Arc};

use http::{HeaderMap, HeaderValue};
use hyper::{body::Incoming, server::conn::http2};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use postern_proto::version::{COMPONENT_SYSTEM, COMPONENT_VERSION, Peer};
use tonic::{Status, body::Body};
use tower::{Service, ServiceExt as _};

use super::state::Shared;
use crate::testing::{Io, service::Executor};

/// Serves one connection; `admit` looks at each call before the service does.
pub(super) async fn serve<S>(
    io: impl Io,
    service: S,
    shared: Arc<Shared>,
    admit: impl Fn(&Shared, &HeaderMap) -> Result<(), Status> + Clone + Send + 'static,
) where
    S: Service<http::Request<Incoming>, Response = http::Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let service = tower::service_fn(move |request: http::Request<Incoming>| {
        let (service, shared, admit) = (service.clone(), Arc::clone(&shared), admit.clone());
        async move {
            if let Err(status) = admit(&shared, request.headers()) {
                return Ok::<_, Infallible>(status.into_http());
            }
            let mut reply = service.oneshot(request).await?;
            let headers = reply.headers_mut();
            headers.insert(COMPONENT_VERSION, HeaderValue::from_static(shared.settings.version));
            headers.insert(COMPONENT_SYSTEM, HeaderValue::from_static("Debian;12.0.0;x86_64"));
            Ok(reply)
        }
    });
    let connection = http2::Builder::new(Executor::default())
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(io), TowerToHyperService::new(service));
    // How a connection ends is Core's to notice.
    drop(connection.await);
}

/// Both headers, and a Core that is not too old.
pub(super) fn check_version(headers: &HeaderMap) -> Result<(), Status> {
    Peer::parse(headers).map(drop).map_err(|error| Status::failed_precondition(error.to_string()))
}
