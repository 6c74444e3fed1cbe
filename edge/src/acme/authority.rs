//! The one server that an Edge dials: requests to it, each over a connection of its own.
//!
//! HTTPS only, no other host whatever its answers name, no redirects, and limits on time and size.

use std::{io, pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header, uri::Authority as Host};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, HttpClient};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::config::AcmeDirectory;

/// For one request: name, connection, answer.
const EXCHANGE_MAX: Duration = Duration::from_secs(20);
/// Nobody waits longer for an order, and the library's clock cannot add up every number.
const RETRY_AFTER_MAX: u64 = 3600;
/// Chains of certificates have a tenth of that.
const BODY_MAX: usize = 256 * 1024;

#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthorityError {
    #[error("cannot connect to {host}")]
    Connect {
        host: Host,
        #[source]
        source: io::Error,
    },
    #[error("{host} does not speak HTTP as it should")]
    Http {
        host: Host,
        #[source]
        source: hyper::Error,
    },
    #[error("{host} did not answer within {} seconds", EXCHANGE_MAX.as_secs())]
    Slow { host: Host },
    #[error("the answer of {host} broke off, or is longer than {BODY_MAX} bytes")]
    Body { host: Host },
    #[error("{host} redirects, which is not followed")]
    Redirect { host: Host },
    #[error("the authority at {host} wants another server to be asked, which is not done")]
    OtherServer { host: Host },
}

/// The authority of the settings. Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Authority {
    directory: AcmeDirectory,
    tls: Arc<ClientConfig>,
}

impl Authority {
    pub(super) fn new(directory: AcmeDirectory, tls: ClientConfig) -> Self {
        Self { directory, tls: Arc::new(tls) }
    }

    pub(super) fn directory(&self) -> &AcmeDirectory {
        &self.directory
    }

    async fn exchange(&self, request: Request<BodyWrapper<Bytes>>) -> Result<Response<Full<Bytes>>, AuthorityError> {
        let host = self.directory.host().clone();
        let request = self.addressed(request)?;
        let stream = self.connect().await.map_err(|source| AuthorityError::Connect { host: host.clone(), source })?;
        let broken = |source| AuthorityError::Http { host: host.clone(), source };
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let answer = async {
            let (mut head, body) = sender.send_request(request).await.map_err(broken)?.into_parts();
            if head.status.is_redirection() {
                return Err(AuthorityError::Redirect { host: host.clone() });
            }
            if head.headers.get(header::RETRY_AFTER).is_some_and(is_absurd) {
                head.headers.remove(header::RETRY_AFTER);
            }
            let body = Limited::new(body, BODY_MAX).collect().await;
            let body = body.map_err(|_| AuthorityError::Body { host: host.clone() })?;
            Ok(Response::from_parts(head, Full::new(body.to_bytes())))
        };
        let mut answer = pin!(answer);
        tokio::select! {
            biased;
            answer = &mut answer => answer,
            // What it read before it ended is still to be taken.
            _ = connection => answer.await,
        }
    }

    /// The request as it goes over the wire, if it goes to our authority at all.
    fn addressed(&self, request: Request<BodyWrapper<Bytes>>) -> Result<Request<BodyWrapper<Bytes>>, AuthorityError> {
        let (mut head, body) = request.into_parts();
        let host = self.directory.host();
        if head.uri.scheme() != Some(&http::uri::Scheme::HTTPS) || head.uri.authority() != Some(host) {
            return Err(AuthorityError::OtherServer { host: host.clone() });
        }
        head.uri = head.uri.path_and_query().cloned().map(Uri::from).unwrap_or_default();
        let value = HeaderValue::from_str(host.as_str()).expect("a host is visible ASCII");
        head.headers.insert(header::HOST, value);
        head.headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        Ok(Request::from_parts(head, body))
    }

    async fn connect(&self) -> io::Result<TlsStream<TcpStream>> {
        let host = self.directory.host();
        let name = host.host().trim_start_matches('[').trim_end_matches(']');
        let server = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let stream = TcpStream::connect((name, host.port_u16().unwrap_or(443))).await?;
        TlsConnector::from(Arc::clone(&self.tls)).connect(server, stream).await
    }
}

/// Whether a `Retry-After` names more seconds than anybody waits. A date has four digits for its year, and does no harm.
fn is_absurd(value: &HeaderValue) -> bool {
    let seconds = value.to_str().ok().and_then(|text| text.trim().parse::<u64>().ok());
    seconds.is_some_and(|seconds| seconds > RETRY_AFTER_MAX)
}

impl HttpClient for Authority {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<BytesResponse, instant_acme::Error>> + Send>> {
        let authority = self.clone();
        Box::pin(async move {
            let slow = || AuthorityError::Slow { host: authority.directory.host().clone() };
            let answer = timeout(EXCHANGE_MAX, authority.exchange(request)).await.unwrap_or_else(|_| Err(slow()));
            answer.map(BytesResponse::from).map_err(|error| instant_acme::Error::Other(Box::new(error)))
        })
    }
}
