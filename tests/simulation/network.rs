//! The simulated network, as our two ends ask for it: an Edge's port, and Core's way to it.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use futures::future::BoxFuture;
use postern_core_link::{Connect, EdgeAddress, Io};
use postern_edge::tunnel::port::Port;
use tokio::time::timeout;
use turmoil::net::{TcpListener, TcpStream};

/// Where an Edge listens for Core.
pub(crate) const TUNNEL_PORT: u16 = 50051;
/// Where it listens for people.
pub(crate) const FRONT_PORT: u16 = 80;

/// As with core-link's own connections.
const CONNECT_MAX: Duration = Duration::from_secs(1);

/// Listens on the simulated host that runs now.
pub(crate) async fn listen(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await
}

pub(crate) struct SimulatedPort(pub(crate) TcpListener);

impl Port for SimulatedPort {
    type Io = TcpStream;

    async fn accept(&self) -> (TcpStream, SocketAddr) {
        self.0.accept().await.expect("a simulated port does not fail")
    }
}

#[derive(Debug)]
pub(crate) struct SimulatedNetwork;

impl Connect for SimulatedNetwork {
    fn connect<'a>(&'a self, address: &'a EdgeAddress) -> BoxFuture<'a, io::Result<Box<dyn Io>>> {
        Box::pin(async move {
            let stream = timeout(CONNECT_MAX, TcpStream::connect((address.host(), address.port()))).await??;
            Ok(Box::new(stream) as Box<dyn Io>)
        })
    }
}
