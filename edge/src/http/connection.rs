//! One HTTP/1.1 connection, from accept to its end.

mod head_timer;

use std::{future::poll_fn, pin::pin, task::Poll, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use self::head_timer::HeadWatch;
use super::front::{Front, Peer};
use crate::drain::Drain;

const HEADERS_MAX: usize = 64;
/// For a request's head, and for what is read ahead of a body.
const BUFFER_MAX: usize = 32 * 1024;

/// Serves requests until the peer leaves, or `closing` begins and the request in flight is answered.
///
/// `header_timeout` also limits how long a connection may idle between two requests, so a proxy in front has to drop
/// its idle connections sooner.
pub(super) async fn serve(stream: TcpStream, peer: Peer, front: Front, closing: Drain, header_timeout: Duration) {
    let service = service_fn(move |request| front.clone().answer(peer, request));
    let (timer, mut head) = HeadWatch::new(header_timeout);
    let connection = http1::Builder::new()
        .timer(timer)
        .header_read_timeout(header_timeout)
        .max_headers(HEADERS_MAX)
        .max_buf_size(BUFFER_MAX)
        // Head and body are small: copying them together costs less than a vectored write.
        .writev(false)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let mut closed = pin!(closing.begun());
    let (mut is_watching, mut is_told) = (false, false);
    let ended = poll_fn(|cx| {
        if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
            return Poll::Ready(ended);
        }
        if head.is_overdue(cx) {
            return connection.as_mut().poll(cx);
        }
        // The token takes a lock on each look, so it is looked at once to be woken, and then when it is time.
        if is_told || (is_watching && !closing.has_begun()) {
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
