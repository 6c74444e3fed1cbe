//! Counts what a peer sends, whatever it is: fragments of a message that never ends are no messages yet.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection that gives so many bytes and no more.
pub(super) struct Intake<I> {
    connection: I,
    left: usize,
}

impl<I> Intake<I> {
    pub(super) fn new(connection: I, max: usize) -> Self {
        Self { connection, left: max }
    }

    /// Everything was read that may be.
    pub(super) fn is_spent(&self) -> bool {
        self.left == 0
    }

    /// The connection without the limit.
    pub(super) fn connection(&mut self) -> &mut I {
        &mut self.connection
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Intake<I> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.is_spent() {
            return Poll::Ready(Err(io::ErrorKind::QuotaExceeded.into()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.connection).poll_read(cx, buffer))?;
        self.left = self.left.saturating_sub(buffer.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Intake<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(cx)
    }
}
