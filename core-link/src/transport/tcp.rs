//! A TCP connection to an Edge whose peer cannot vanish unnoticed.

use std::{io, net::SocketAddr, time::Duration};

use futures::{StreamExt, stream::FuturesUnordered};
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    net::{TcpStream, lookup_host},
    time::{sleep, timeout},
};

use crate::edge::EdgeAddress;

/// A host that is up answers within this, or its network is in trouble.
const CONNECT_MAX: Duration = Duration::from_secs(1);
/// Head start of each of a host's addresses before the next is tried beside it.
const HEAD_START: Duration = Duration::from_millis(200);
/// More addresses than this are not tried.
const ADDRESSES_MAX: usize = 4;
const KEEPALIVE: Duration = Duration::from_secs(10);
/// Data that nobody acknowledges for this long ends the connection.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(20);

/// Connects to the first of the host's addresses that answers, within a second.
pub(crate) async fn connect(address: &EdgeAddress) -> io::Result<TcpStream> {
    let stream = timeout(CONNECT_MAX, connect_any(address)).await.unwrap_or_else(|_| {
        Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {CONNECT_MAX:?}")))
    })?;
    stream.set_nodelay(true)?;
    let socket = SockRef::from(&stream);
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE))?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX))?;
    Ok(stream)
}

async fn connect_any(address: &EdgeAddress) -> io::Result<TcpStream> {
    let addresses: Vec<SocketAddr> = lookup_host((address.host(), address.port())).await?.take(ADDRESSES_MAX).collect();
    let mut waiting = addresses.into_iter();
    let mut connecting = FuturesUnordered::new();
    connecting.extend(waiting.next().map(TcpStream::connect));
    let mut last_error = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    while !connecting.is_empty() {
        tokio::select! {
            Some(outcome) = connecting.next() => match outcome {
                Ok(stream) => return Ok(stream),
                Err(error) => last_error = error,
            },
            () = sleep(HEAD_START), if waiting.len() > 0 => {}
        }
        connecting.extend(waiting.next().map(TcpStream::connect));
    }
    Err(last_error)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    #[tokio::test]
    async fn the_address_that_answers_is_used() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();

        let stream = connect(&format!("localhost:{port}").parse().unwrap()).await.unwrap();

        assert_eq!(stream.peer_addr().unwrap().port(), port);
        assert!(stream.nodelay().unwrap());
    }

    #[tokio::test]
    async fn a_refused_connection_is_reported_at_once() {
        // Ours, but nobody listens.
        let taken = TcpSocket::new_v4().unwrap();
        taken.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let address = taken.local_addr().unwrap();
        let error = connect(&address.to_string().parse().unwrap()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
}
