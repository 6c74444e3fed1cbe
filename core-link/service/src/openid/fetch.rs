//! The only way to the OpenID provider: one request at a time, within limits that the provider cannot stretch.
//!
//! No redirects (one could lead into our own network), no kept connections, three seconds, 256 KiB. Plain HTTP is for
//! a provider on this machine only.

use std::time::Duration;

use futures::future::BoxFuture;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use openidconnect::{HttpRequest, HttpResponse, url::Url};
use rustls::{ClientConfig, RootCertStore};
use tokio::time::timeout;

use super::issuer::Issuer;

const BODY_MAX: usize = 256 * 1024;

/// Asks the provider.
#[derive(Debug, Clone)]
pub(super) struct Fetcher {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    issuer: Issuer,
    call_max: Duration,
}

/// The provider cannot be reached, or does not behave. What it sent is in none of these: it may hold secrets.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("it names an address that is neither https nor on this machine")]
    UnsafeAddress,
    #[error("the connection failed")]
    Connection(#[source] hyper_util::client::legacy::Error),
    #[error("the answer broke off")]
    Answer(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the answer is larger than {BODY_MAX} bytes")]
    TooLarge,
    #[error("no whole answer within the time limit")]
    TimedOut,
    #[error("it answers with a redirect, which is not followed")]
    Redirect,
    #[error("it answers with status {0}")]
    Status(u16),
}

impl Fetcher {
    pub(super) fn new(roots: RootCertStore, issuer: Issuer, call_max: Duration) -> Self {
        let tls = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        Self { client, issuer, call_max }
    }

    /// [`Self::call`] in the shape that the OpenID library takes.
    pub(super) fn as_client(&self) -> impl Fn(HttpRequest) -> BoxFuture<'static, Result<HttpResponse, FetchError>> {
        let fetcher = self.clone();
        move |request| {
            let fetcher = fetcher.clone();
            Box::pin(async move { fetcher.call(request).await })
        }
    }

    /// The whole answer. The provider's own "no" (4xx) is an answer as well.
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, FetchError> {
        let address = Url::parse(&request.uri().to_string()).map_err(|_| FetchError::UnsafeAddress)?;
        if !self.issuer.may_name(&address) {
            return Err(FetchError::UnsafeAddress);
        }
        timeout(self.call_max, self.exchange(request)).await.map_err(|_| FetchError::TimedOut)?
    }

    async fn exchange(&self, request: HttpRequest) -> Result<HttpResponse, FetchError> {
        let request = request.map(|body| Full::new(Bytes::from(body)));
        let (head, body) = self.client.request(request).await.map_err(FetchError::Connection)?.into_parts();
        if head.status.is_redirection() {
            return Err(FetchError::Redirect);
        }
        if head.status.is_server_error() {
            return Err(FetchError::Status(head.status.as_u16()));
        }
        let body = Limited::new(body, BODY_MAX).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() { FetchError::TooLarge } else { FetchError::Answer(error) }
        })?;
        Ok(HttpResponse::from_parts(head, body.to_bytes().into()))
    }
}
