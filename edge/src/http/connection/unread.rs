//! An answer of ours in place of hyper's own.
//!
//! hyper answers a request whose head it cannot read by itself: a bare status, and none of our headers. It has no place
//! for another answer, but such an answer is easy to recognise where it is written: it is always the last one of its connection,
//! begins with what has not been offered to the socket before, and is shorter than any of ours.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::response::Response;
use futures::FutureExt as _;
use http_body_util::BodyExt as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::http::error::HeadError;

/// hyper's has a status, two short headers and a date; each of ours has several times as many.
const BARE_MAX: usize = 160;

/// What hyper says by itself.
#[derive(Debug, PartialEq, Eq)]
struct Bare<'a> {
    error: HeadError,
    /// A header line.
    date: &'a str,
}

impl<'a> Bare<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        if bytes.len() > BARE_MAX || !bytes.starts_with(b"HTTP/1.") || !bytes.ends_with(b"\r\n\r\n") {
            return None;
        }
        let mut lines = std::str::from_utf8(bytes).ok()?.split("\r\n");
        let error = HeadError::of(lines.next()?.split(' ').nth(1)?)?;
        let date = lines.find(|line| line.starts_with("date: "))?;
        Some(Self { error, date })
    }
}

/// The socket of a connection, and what to say of a head that cannot be read.
#[derive(Debug)]
pub(super) struct Unread<I, A> {
    io: I,
    answer: A,
    /// How much of what is offered next was offered before.
    old: usize,
    /// Ours, on its way, and how much of it has left.
    ours: Option<(Vec<u8>, usize)>,
}

impl<I, A: Fn(HeadError) -> Response> Unread<I, A> {
    pub(super) fn new(io: I, answer: A) -> Self {
        Self { io, answer, old: 0, ours: None }
    }

    /// What to write instead, if this is hyper's own answer.
    fn replacement(&self, offered: &[u8]) -> Option<Vec<u8>> {
        let (old, new) = offered.split_at_checked(self.old)?;
        let bare = Bare::read(new)?;
        Some([old, &in_bytes((self.answer)(bare.error), bare.date)].concat())
    }
}

fn in_bytes(response: Response, date: &str) -> Vec<u8> {
    let (head, body) = response.into_parts();
    let body = body.collect().now_or_never().and_then(Result::ok).map(|body| body.to_bytes()).unwrap_or_default();
    let mut bytes = format!("HTTP/1.1 {}\r\n", head.status).into_bytes();
    for (name, value) in &head.headers {
        bytes.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    bytes.extend(format!("content-length: {}\r\n{date}\r\n\r\n", body.len()).into_bytes());
    bytes.extend(body);
    bytes
}

impl<I: AsyncWrite + Unpin, A: Fn(HeadError) -> Response + Unpin> AsyncWrite for Unread<I, A> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, offered: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.ours.is_none() {
            this.ours = this.replacement(offered).map(|ours| (ours, 0));
        }
        let Some((ours, sent)) = &mut this.ours else {
            this.old = offered.len();
            let written = ready!(Pin::new(&mut this.io).poll_write(cx, offered))?;
            this.old -= written;
            return Poll::Ready(Ok(written));
        };
        while *sent < ours.len() {
            let written = ready!(Pin::new(&mut this.io).poll_write(cx, &ours[*sent..]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            *sent += written;
        }
        this.ours = None;
        this.old = 0;
        Poll::Ready(Ok(offered.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

impl<I: AsyncRead + Unpin, A: Unpin> AsyncRead for Unread<I, A> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_read(cx, buffer)
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    const BARE: &[u8] = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\
                          date: Mon, 30 Nov 2026 19:00:00 GMT\r\n\r\n";

    fn ours(_: HeadError) -> Response {
        let mut response = Response::new(Body::from("ours"));
        *response.status_mut() = axum::http::StatusCode::IM_A_TEAPOT;
        response
    }

    #[test]
    fn only_a_bare_answer_is_taken_for_one() {
        assert_eq!(Bare::read(BARE).map(|bare| bare.error), Some(HeadError::TooLarge));
        let with_more = [&BARE[..BARE.len() - 2], "x-more: 1\r\n".repeat(10).as_bytes(), b"\r\n"].concat();
        let cut = &BARE[..BARE.len() - 1];
        let to_go_on = b"HTTP/1.1 100 Continue\r\n\r\n";
        for other in [&with_more[..], cut, to_go_on, b"{}\r\n\r\n", b""] {
            assert_eq!(Bare::read(other), None, "{other:?}");
        }
    }

    /// A peer that reads nothing makes hyper offer the rest of an answer and its own together.
    #[tokio::test]
    async fn behind_the_rest_of_another_answer_it_is_found_too_and_both_arrive_whole() {
        for room in [1, 7, 1_000] {
            let (io, mut peer) = duplex(room);
            let mut socket = Unread::new(io, ours);
            let first = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
            let taken = socket.write(first).await.unwrap();
            let both = [&first[taken..], BARE].concat();
            let write = async {
                socket.write_all(&both).await.unwrap();
                socket.shutdown().await.unwrap();
            };
            let mut arrived = Vec::new();
            let (_, read) = tokio::join!(write, peer.read_to_end(&mut arrived));
            read.unwrap();
            let expected =
                "{}HTTP/1.1 418 I'm a teapot\r\ncontent-length: 4\r\ndate: Mon, 30 Nov 2026 19:00:00 GMT\r\n\r\nours";
            let arrived = String::from_utf8(arrived).unwrap();
            assert!(arrived.starts_with("HTTP/1.1 200 OK") && arrived.ends_with(expected), "{room}: {arrived}");
        }
    }
}
