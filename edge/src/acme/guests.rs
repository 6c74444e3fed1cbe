//! Ports that are open for as long as an order needs them, handed to the HTTP side, which serves them as its own.

use std::{convert::Infallible, future::pending};

use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// One bound port, to be served until told to leave.
#[derive(Debug)]
pub(crate) struct GuestSocket {
    pub(crate) socket: TcpListener,
    pub(crate) leave: CancellationToken,
    /// Dropped with the socket, which tells whoever lent it that the port is free.
    pub(super) _left: oneshot::Sender<Infallible>,
}

/// The other end of a guest: dropping it asks the guest to leave.
#[derive(Debug)]
pub(super) struct Host {
    leave: DropGuard,
    left: oneshot::Receiver<Infallible>,
}

impl Host {
    /// Waits until the port is free again, so that the next order can have it.
    pub(super) async fn close(self) {
        drop(self.leave);
        drop(self.left.await);
    }
}

impl GuestSocket {
    pub(super) fn new(socket: TcpListener) -> (Self, Host) {
        let leave = CancellationToken::new();
        let (_left, left) = oneshot::channel();
        let host = Host { leave: leave.clone().drop_guard(), left };
        (Self { socket, leave, _left }, host)
    }
}

/// Where the HTTP side takes them from.
#[derive(Debug)]
pub struct GuestSockets(Option<mpsc::Receiver<GuestSocket>>);

impl GuestSockets {
    /// None will ever come.
    #[must_use]
    pub fn none() -> Self {
        Self(None)
    }

    pub(crate) async fn next(&mut self) -> GuestSocket {
        let next = match &mut self.0 {
            Some(receiver) => receiver.recv().await,
            None => None,
        };
        match next {
            Some(guest) => guest,
            None => pending().await,
        }
    }
}

pub(super) fn channel() -> (mpsc::Sender<GuestSocket>, GuestSockets) {
    // One order at a time, and one port for each.
    let (sender, receiver) = mpsc::channel(1);
    (sender, GuestSockets(Some(receiver)))
}
