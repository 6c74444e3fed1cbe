//! The simulated network, as our two ends ask for it: an Edge's port, and Core's way to it.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures::{future::BoxFuture, task::AtomicWaker};
use postern_core_link::{Connect, EdgeAddress, Io};
use postern_edge::tunnel::port::Port;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::timeout,
};
use turmoil::net::{TcpListener, TcpStream};

use crate::{
    identities::{EDGES, host_of},
    trace::Trace,
};

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

/// One try to reach an Edge.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dial {
    pub(crate) core: &'static str,
    /// Its number at that Core, from 0.
    pub(crate) link: usize,
    pub(crate) at: Duration,
}

/// Every dial of one run. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Dials(Arc<Mutex<Vec<Noted>>>);

type Noted = (Dial, Arc<Fuse>);

impl Dials {
    pub(crate) fn since(&self, at: Duration) -> Vec<Dial> {
        self.lock().iter().map(|(dial, _)| *dial).filter(|dial| dial.at >= at).collect()
    }

    /// Ends what is connected there, as a box between the two does that has forgotten them: both live on.
    pub(crate) fn reset(&self, core: &str, link: usize) {
        self.lock().iter().filter(|(dial, _)| dial.core == core && dial.link == link).for_each(|(_, fuse)| fuse.blow());
    }

    fn note(&self, dial: Dial) -> Arc<Fuse> {
        let fuse = Arc::<Fuse>::default();
        self.lock().push((dial, Arc::clone(&fuse)));
        fuse
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Noted>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
struct Fuse {
    is_blown: AtomicBool,
    reader: AtomicWaker,
}

impl Fuse {
    fn blow(&self) {
        self.is_blown.store(true, Ordering::SeqCst);
        self.reader.wake();
    }
}

/// A connection that ends when its fuse blows.
struct Fused {
    io: TcpStream,
    fuse: Arc<Fuse>,
}

impl AsyncRead for Fused {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.fuse.reader.register(cx.waker());
        if self.fuse.is_blown.load(Ordering::SeqCst) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Fused {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// How a link of that number knows its Edge: the name in the certificate, and the number in place of the port.
pub(crate) fn address_of(link: usize) -> EdgeAddress {
    let port = usize::from(TUNNEL_PORT) + link;
    format!("{}:{port}", EDGES[link % EDGES.len()]).parse().expect("a name and a port")
}

#[derive(Debug)]
pub(crate) struct SimulatedNetwork {
    pub(crate) core: &'static str,
    pub(crate) dials: Dials,
    pub(crate) trace: Trace,
}

impl Connect for SimulatedNetwork {
    fn connect<'a>(&'a self, address: &'a EdgeAddress) -> BoxFuture<'a, io::Result<Box<dyn Io>>> {
        let link = usize::from(address.port() - TUNNEL_PORT);
        let fuse = self.dials.note(Dial { core: self.core, link, at: self.trace.now() });
        Box::pin(async move {
            let host = host_of(link);
            let io = timeout(CONNECT_MAX, TcpStream::connect((host.as_str(), TUNNEL_PORT))).await??;
            Ok(Box::new(Fused { io, fuse }) as Box<dyn Io>)
        })
    }
}
