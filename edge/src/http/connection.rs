//! One connection, from accept to its end.

mod head_timer;
mod http2;
mod unread;

use std::{convert::Infallible, future::poll_fn, pin::pin, sync::Arc, task::Poll, time::Duration};

use axum::{http::Request, response::Response};
use hyper::{
    body::Incoming,
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::rt::TokioIo;
use metrics::counter;
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

use self::{head_timer::HeadWatch, unread::Unread};
use super::{
    front::{Front, Peer},
    redirect::OverTls,
};
use crate::drain::Drain;

const HEADERS_MAX: usize = 64;
/// For a request's head, and for what is read ahead of a body.
const BUFFER_MAX: usize = 32 * 1024;

/// From the first byte to the end of the handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// What a connection is served with.
pub(super) struct Serving {
    pub(super) peer: Peer,
    pub(super) is_tls: bool,
    pub(super) front: Front,
    /// Begins when the connection is to end after the request in flight.
    pub(super) closing: Drain,
    /// For a request's head, and between two requests: a proxy in front has to drop its idle connections sooner.
    pub(super) header_timeout: Duration,
}

impl Serving {
    fn service(&self) -> impl HttpService + use<> {
        let (peer, front, is_tls) = (self.peer, self.front.clone(), self.is_tls);
        service_fn(move |mut request: Request<Incoming>| {
            if is_tls {
                request.extensions_mut().insert(OverTls);
            }
            front.clone().answer(peer, request)
        })
    }
}

/// What answers the requests of a connection.
trait HttpService: Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Send> + Send {}

impl<S> HttpService for S where
    S: Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Send> + Send
{
}

/// Serves requests until the peer leaves, or `closing` begins and the request in flight is answered.
pub(super) async fn serve(stream: TcpStream, serving: Serving) {
    http1(stream, &serving).await;
}

/// The same over TLS, where clients that can speak HTTP/2.
pub(super) async fn serve_tls(stream: TcpStream, tls: Arc<ServerConfig>, serving: Serving, tasks: TaskTracker) {
    let Ok(Ok(stream)) = timeout(HANDSHAKE_TIMEOUT, TlsAcceptor::from(tls).accept(stream)).await else {
        counter!("postern_edge_https_handshakes_failed_total").increment(1);
        return tracing::debug!("a TLS handshake failed or took too long");
    };
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        http2::serve(stream, &serving, tasks).await;
    } else {
        http1(stream, &serving).await;
    }
}

async fn http1(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, serving: &Serving) {
    let (timer, mut head) = HeadWatch::new(serving.header_timeout);
    let (peer, front) = (serving.peer, serving.front.clone());
    let io = Unread::new(io, move |error| front.answer_unread(peer, error));
    let connection = http1::Builder::new()
        .timer(timer)
        .header_read_timeout(serving.header_timeout)
        .max_headers(HEADERS_MAX)
        .max_buf_size(BUFFER_MAX)
        // Head and body are small: copying them together costs less than a vectored write.
        .writev(false)
        .serve_connection(TokioIo::new(io), serving.service())
        .with_upgrades();
    let mut connection = pin!(connection);
    let mut closed = pin!(serving.closing.begun());
    let (mut is_watching, mut is_told) = (false, false);
    let ended = poll_fn(|cx| {
        if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
            return Poll::Ready(ended);
        }
        if head.is_overdue(cx) {
            return connection.as_mut().poll(cx);
        }
        // The token takes a lock on each look, so it is looked at once to be woken, and then when it is time.
        if is_told || (is_watching && !serving.closing.has_begun()) {
            return Poll::Pending;
        }
        is_watching = true;
        if closed.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        is_told = true;
        connection.as_mut().graceful_shutdown();
        connection.as_mut().poll(cx)
    });
    if let Err(error) = ended.await {
        tracing::debug!(%error, "a connection ended early");
    }
}
