//! Listening sockets: dual stack, re-usable at once after a restart, and patient when resources are short.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    net::{TcpListener, TcpStream},
    time::{Instant, sleep},
};

/// Pause after an accept that failed for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// A port of the range for outgoing connections may be held by one of those, and is free again in a moment.
pub(crate) const TAKEN_MAX: Duration = Duration::from_secs(5);
const TAKEN_PAUSE: Duration = Duration::from_millis(100);
/// Beside clients' connections: tunnels, listeners, the runtime's own.
const OTHER_DESCRIPTORS: u64 = 256;

/// Lets this process hold that many connections of clients and still take tunnels. Mostly the system's default is
/// 1024 descriptors, and more for who asks.
pub(crate) fn make_room_for(connections: u64) {
    let needed = connections + OTHER_DESCRIPTORS;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return;
    }
    let raised = limit.maximum.map_or(needed, |maximum| maximum.min(needed));
    let outcome = setrlimit(Resource::Nofile, Rlimit { current: Some(raised), ..limit });
    if raised < needed || outcome.is_err() {
        tracing::warn!(
            needed,
            maximum = raised,
            "too few file descriptors for `connections_max` and `websockets_max`: raise LimitNOFILE"
        );
    }
}

/// Listens on an address. `[::]` takes IPv4 as well, and on a host without IPv6 it is `0.0.0.0`.
pub(crate) fn bind(address: SocketAddr, backlog: i32) -> io::Result<TcpListener> {
    let (socket, address) = match Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP)) {
        Err(_) if address.is_ipv6() && address.ip().is_unspecified() => {
            let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
            (Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?, address)
        }
        socket => (socket?, address),
    };
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(backlog)?;
    TcpListener::from_std(socket.into())
}

/// Binds, and tries again until then while somebody else has the address. That is logged once.
pub(crate) async fn patiently<T>(
    address: SocketAddr,
    until: Instant,
    bind: impl Fn(SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    let mut is_told = false;
    loop {
        match bind(address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < until => {
                if !std::mem::replace(&mut is_told, true) {
                    tracing::warn!(%address, "taken by somebody else: trying again for at most {TAKEN_MAX:?}");
                }
                sleep(TAKEN_PAUSE).await;
            }
            outcome => return outcome,
        }
    }
}

/// The next connection. A failure is logged once and waited out.
pub(crate) async fn accept(socket: &TcpListener) -> (TcpStream, SocketAddr) {
    let mut is_told = false;
    loop {
        match socket.accept().await {
            Ok(accepted) => return accepted,
            // The peer has gone again; the next one waits already.
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                if !std::mem::replace(&mut is_told, true) {
                    tracing::warn!(%error, "cannot accept connections for now");
                }
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

    /// Says whether it was had, how often that was tried, and how long it took.
    async fn bound(taken: usize, otherwise: io::ErrorKind) -> (bool, usize, Duration) {
        let (begun, tries) = (Instant::now(), AtomicUsize::new(0));
        let bind = |_| match tries.fetch_add(1, Ordering::Relaxed) {
            tried if tried < taken => Err(otherwise.into()),
            _ => Ok(()),
        };
        let had = patiently(ADDRESS, begun + TAKEN_MAX, bind).await.is_ok();
        (had, tries.into_inner(), begun.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_is_taken_for_a_moment_is_had_and_one_that_stays_taken_is_not_waited_for() {
        assert_eq!(bound(3, io::ErrorKind::AddrInUse).await, (true, 4, TAKEN_PAUSE * 3));
        assert_eq!(bound(usize::MAX, io::ErrorKind::AddrInUse).await, (false, 51, TAKEN_MAX));
        assert_eq!(bound(usize::MAX, io::ErrorKind::PermissionDenied).await, (false, 1, Duration::ZERO));
    }
}
