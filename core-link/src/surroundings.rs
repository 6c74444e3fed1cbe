//! What links take from the world around them: connections to Edges, and chance. Arguments, so that a simulation can
//! bring its own and repeat a run.

use std::{fmt, io};

use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{edge::EdgeAddress, transport::tcp};

/// What a connection is read from and written to.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// Makes connections to Edges. TLS comes on top, and the dialer sets the deadline.
pub trait Connect: Send + Sync + 'static {
    /// A new connection.
    ///
    /// # Errors
    /// What the network says.
    fn connect<'a>(&'a self, address: &'a EdgeAddress) -> BoxFuture<'a, io::Result<Box<dyn Io>>>;
}

/// The network of this host.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tcp;

impl Connect for Tcp {
    fn connect<'a>(&'a self, address: &'a EdgeAddress) -> BoxFuture<'a, io::Result<Box<dyn Io>>> {
        Box::pin(async move { Ok(Box::new(tcp::connect(address).await?) as Box<dyn Io>) })
    }
}

/// Where a supervisor runs. The default is this host.
pub struct Surroundings {
    /// Makes the connections.
    pub network: Box<dyn Connect>,
    /// Gives numbers from 0 to 1, which spread the dials.
    pub chance: Box<dyn Fn() -> f64 + Send + Sync>,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self { network: Box::new(Tcp), chance: Box::new(rand::random) }
    }
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Surroundings")
    }
}
