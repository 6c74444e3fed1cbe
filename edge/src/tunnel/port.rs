//! Where connections of Cores come from: a port of this host, or a network that a test simulates.

use std::{future::Future, io, net::SocketAddr, time::Duration};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};

use crate::listen;

const BACKLOG: i32 = 128;
/// Unacknowledged bytes for that long: the peer's machine is gone.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(10);

/// Takes connections, one after the other.
pub trait Port: Send + 'static {
    /// A connection.
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next one, ready to be used, and who it is from. Failures are waited out.
    fn accept(&self) -> impl Future<Output = (Self::Io, SocketAddr)> + Send;
}

/// Listens on an address; `[::]` takes IPv4 as well. Needs a runtime around it.
///
/// # Errors
/// What the system says when the address cannot be had.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    listen::bind(address, BACKLOG)
}

impl Port for TcpListener {
    type Io = TcpStream;

    async fn accept(&self) -> (TcpStream, SocketAddr) {
        loop {
            let (socket, peer) = listen::accept(self).await;
            match tune(&socket) {
                Ok(()) => return (socket, peer),
                Err(error) => tracing::debug!(%peer, %error, "a connection ended before it began"),
            }
        }
    }
}

fn tune(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    SockRef::from(socket).set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX))
}
