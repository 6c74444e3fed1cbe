//! Remembers what happens below HTTP/2, which reports it as text at best.

use std::{
    io,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// First byte of a TLS alert record. An HTTP/2 server begins with the length of a small frame.
const TLS_ALERT: u8 = 21;

/// What was seen.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    first_byte: OnceLock<u8>,
    tls_error: OnceLock<rustls::Error>,
}

impl Wire {
    /// The peer answered plain HTTP/2 with a TLS alert.
    pub(crate) fn peer_speaks_tls(&self) -> bool {
        self.first_byte.get() == Some(&TLS_ALERT)
    }

    /// The TLS session ended with this. With TLS 1.3 a server refuses our certificate only after
    /// the handshake.
    pub(crate) fn tls_error(&self) -> Option<&rustls::Error> {
        self.tls_error.get()
    }

    fn saw_error(&self, error: &io::Error) {
        if let Some(cause) = tls_cause(error) {
            self.tls_error.get_or_init(|| cause.clone());
        }
    }
}

/// The TLS error inside an I/O error, if that is what it is.
pub(crate) fn tls_cause(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// Passes everything through.
pub(crate) struct Tap<IO> {
    io: IO,
    wire: Arc<Wire>,
    begun: bool,
}

impl<IO> Tap<IO> {
    pub(crate) fn new(io: IO, wire: Arc<Wire>) -> Self {
        Self { io, wire, begun: false }
    }
}

impl<IO: AsyncRead + Unpin> Tap<IO> {
    /// A peer that hung up at once may have said why, which nobody reads once writing has failed:
    /// waits for its first byte before reporting the failure.
    fn saw_write<T>(&mut self, context: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let Poll::Ready(Err(error)) = outcome else { return outcome };
        self.wire.saw_error(&error);
        if !self.begun {
            let mut first = [0; 1];
            // What it says is noted on the way; that it says nothing is no news.
            let _noted = ready!(Pin::new(self).poll_read(context, &mut ReadBuf::new(&mut first)));
        }
        Poll::Ready(Err(error))
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Tap<IO> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let filled = buffer.filled().len();
        let outcome = ready!(Pin::new(&mut this.io).poll_read(context, buffer));
        if let Err(error) = &outcome {
            this.wire.saw_error(error);
        }
        if !this.begun
            && let Some(first) = buffer.filled().get(filled)
        {
            this.begun = true;
            this.wire.first_byte.get_or_init(|| *first);
        }
        Poll::Ready(outcome)
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Tap<IO> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.io).poll_write(context, bytes);
        this.saw_write(context, outcome)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.io).poll_flush(context);
        this.saw_write(context, outcome)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.io).poll_write_vectored(context, parts);
        this.saw_write(context, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
