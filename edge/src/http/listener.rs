//! Accepts connections from clients, and lets them finish when it is time to go.
//!
//! Bounded in all and for each address, over all ports together; an accept that fails for want of resources waits
//! instead of spinning.

mod https;

use std::{
    convert::Infallible,
    future::pending,
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

use self::https::Https;
use super::{
    connection::{self, Serving},
    front::Front,
    measure::ConnectionMetrics,
};
use crate::{
    acme::GuestSockets,
    certificate::Certificates,
    drain::Drain,
    listen,
    peers::{PeerCounts, Place},
};

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
    https: Option<Https>,
    guests: GuestSockets,
}

impl HttpListener {
    /// Binds; `[::]` takes IPv4 as well.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        Ok(Self { socket: listen::bind(address, BACKLOG)?, https: None, guests: GuestSockets::none() })
    }

    /// Serves HTTPS on that address too, whenever there is a certificate.
    #[must_use]
    pub fn with_https(self, address: SocketAddr, certificates: Certificates) -> Self {
        Self { https: Some(Https { address, certificates }), ..self }
    }

    /// Serves further ports as well, for as long as whoever bound them wants.
    #[must_use]
    pub fn with_guests(self, guests: GuestSockets) -> Self {
        Self { guests, ..self }
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
    pub async fn run(mut self, front: Front, limits: ConnectionLimits, drain_delay: Duration) {
        let drain = front.drain().clone();
        let stop = async {
            drain.begun().await;
            sleep(drain_delay).await;
        };
        let door = Door::new(front, limits);
        let plain = Entrance { tls: None, closing: door.closing.clone() };
        let https = async {
            match &self.https {
                Some(https) => https.run(&door).await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            () = stop => {}
            never = door.admit_all(&self.socket, &plain) => match never {},
            never = https => match never {},
            never = door.admit_guests(&mut self.guests, &plain) => match never {},
        }
        drop(self.socket);
        door.close().await;
    }
}

/// How people come in by one port.
struct Entrance {
    /// `None`: plain HTTP.
    tls: Option<Certificates>,
    closing: Drain,
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

    async fn admit_all(&self, socket: &TcpListener, entrance: &Entrance) -> Infallible {
        loop {
            // First a seat: what we cannot serve yet waits in the kernel.
            let seat = Arc::clone(&self.seats).acquire_owned().await.expect("the semaphore is never closed");
            let (stream, address) = listen::accept(socket).await;
            self.admit(stream, address.ip(), seat, entrance);
        }
    }

    /// One after the other: at most one certificate is ordered at a time.
    async fn admit_guests(&self, guests: &mut GuestSockets, entrance: &Entrance) -> Infallible {
        loop {
            let guest = guests.next().await;
            tokio::select! {
                never = self.admit_all(&guest.socket, entrance) => match never {},
                () = guest.leave.cancelled() => {}
            }
        }
    }

    fn admit(&self, stream: TcpStream, address: IpAddr, seat: OwnedSemaphorePermit, entrance: &Entrance) {
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
        let room = Room { _place: place, _seat: seat, _open: OpenConnection::new(&self.metrics.open) };
        let serving = Serving {
            peer,
            is_tls: entrance.tls.is_some(),
            front: self.front.clone(),
            closing: entrance.closing.clone(),
            header_timeout: self.limits.header_timeout,
        };
        match &entrance.tls {
            None => drop(self.connections.spawn(room.around(connection::serve(stream, serving)))),
            Some(certificates) => {
                // The certificate of this moment, whatever comes later.
                let Some(tls) = certificates.tls() else { return };
                let tasks = self.connections.clone();
                drop(self.connections.spawn(room.around(connection::serve_tls(stream, tls, serving, tasks))));
            }
        }
    }

    async fn close(self) {
        self.closing.begin();
        self.connections.close();
        self.connections.wait().await;
        self.front.websockets_ended().await;
    }
}

/// Replies leave at once, and a peer that takes none is gone after a while.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_user_timeout(Some(UNSENT_MAX))
}

/// What a connection takes up as long as it is served.
struct Room {
    _place: Option<Place>,
    _seat: OwnedSemaphorePermit,
    // Given up last: what is not counted any more takes up nothing.
    _open: OpenConnection,
}

impl Room {
    async fn around(self, connection: impl Future<Output = ()>) {
        connection.await;
        drop(self);
    }
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
