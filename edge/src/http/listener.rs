//! Accepts connections from clients, and lets them finish when it is time to go.
//!
//! Bounded in all and for each address; an accept that fails for want of resources waits instead of spinning.

use std::{
    convert::Infallible,
    io,
    net::{IpAddr, SocketAddr},
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};

use metrics::Gauge;
use socket2::SockRef;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::sleep,
};
use tokio_util::task::TaskTracker;

use super::{connection, front::Front, measure::ConnectionMetrics};
use crate::{drain::Drain, listen, peers::PeerCounts};

/// Connections that the kernel holds for us while we are busy.
const BACKLOG: i32 = 1024;
/// How long bytes may wait for a peer that does not read them.
const UNSENT_MAX: Duration = Duration::from_secs(30);
/// How long a request's head may take. Longer than the time for which a proxy in front keeps idle connections.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(15);

/// What one Edge takes on.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionLimits {
    pub connections_max: NonZeroU32,
    /// For peers that are no trusted proxies.
    pub connections_max_per_address: NonZeroU32,
    pub header_timeout: Duration,
}

#[derive(Debug)]
pub struct HttpListener {
    socket: TcpListener,
}

impl HttpListener {
    /// Binds; `[::]` takes IPv4 as well.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        Ok(Self { socket: listen::bind(address, BACKLOG)? })
    }

    /// Where it listens, with the port that was picked.
    ///
    /// # Errors
    /// When the socket is not bound any more, which does not happen.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Serves until the front's drain begins, and `drain_delay` longer; then stops accepting and returns when the
    /// last request is answered.
    pub async fn run(self, front: Front, limits: ConnectionLimits, drain_delay: Duration) {
        let drain = front.drain().clone();
        let stop = async {
            drain.begun().await;
            sleep(drain_delay).await;
        };
        let door = Door::new(front, limits);
        tokio::select! {
            biased;
            () = stop => {}
            never = door.admit_all(&self.socket) => match never {},
        }
        drop(self.socket);
        door.close().await;
    }
}

struct Door {
    front: Front,
    limits: ConnectionLimits,
    seats: Arc<Semaphore>,
    counts: PeerCounts,
    metrics: ConnectionMetrics,
    connections: TaskTracker,
    closing: Drain,
}

impl Door {
    fn new(front: Front, limits: ConnectionLimits) -> Self {
        Self {
            front,
            limits,
            seats: Arc::new(Semaphore::new(limits.connections_max.get() as usize)),
            counts: PeerCounts::new(limits.connections_max_per_address),
            metrics: ConnectionMetrics::new(),
            connections: TaskTracker::new(),
            closing: Drain::default(),
        }
    }

    async fn admit_all(&self, socket: &TcpListener) -> Infallible {
        loop {
            // First a seat: what we cannot serve yet waits in the kernel.
            let seat = Arc::clone(&self.seats).acquire_owned().await.expect("the semaphore is never closed");
            let (stream, address) = listen::accept(socket).await;
            self.admit(stream, address.ip(), seat);
        }
    }

    fn admit(&self, stream: TcpStream, address: IpAddr, seat: OwnedSemaphorePermit) {
        let peer = self.front.peer(address);
        // A crowd stands behind a trusted proxy.
        let place = if peer.is_trusted { None } else { self.counts.enter(peer.address) };
        if !peer.is_trusted && place.is_none() {
            self.metrics.refused.increment(1);
            return;
        }
        if let Err(error) = prepare(&stream) {
            return tracing::debug!(%error, "a connection ended before it was served");
        }
        let served =
            connection::serve(stream, peer, self.front.clone(), self.closing.clone(), self.limits.header_timeout);
        let open = OpenConnection::new(&self.metrics.open);
        self.connections.spawn(async move {
            served.await;
            drop((open, place, seat));
        });
    }

    async fn close(self) {
        self.closing.begin();
        self.connections.close();
        self.connections.wait().await;
    }
}

/// Replies leave at once, and a peer that takes none is gone after a while.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_user_timeout(Some(UNSENT_MAX))
}

/// Counts as long as it lives, also through a panic.
struct OpenConnection(Gauge);

impl OpenConnection {
    fn new(gauge: &Gauge) -> Self {
        gauge.increment(1);
        Self(gauge.clone())
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}
