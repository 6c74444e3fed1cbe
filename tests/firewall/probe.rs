//! One packet from one host to a port of another: what became of it.
//!
//! Every host listens on every port, so that nothing but a filter keeps a packet from being answered. Listeners remember who
//! reached them, however late.

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use tokio::{
    net::{TcpListener, TcpStream, UdpSocket},
    runtime::Runtime,
    time::timeout,
};

use crate::place::{Host, Place};

/// SSH, DNS, NGINX, NTP, HTTPS and OpenID, mail, Postgres, an Edge's HTTP, tunnels; and both programs' metrics.
pub(crate) const PORTS: [u16; 12] = [22, 53, 80, 123, 443, 465, 587, 5432, 8080, 9464, 9465, 50051];
/// An answer takes less than a millisecond. What comes later than this is found at the listeners.
const SILENCE: Duration = Duration::from_millis(300);
/// Where an answer is expected, a busy machine may take its time.
const ANSWER_MAX: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Protocol {
    Tcp,
    Udp,
}

/// From where to where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Flow {
    pub(crate) from: IpAddr,
    pub(crate) to: Host,
    pub(crate) protocol: Protocol,
    pub(crate) port: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Answered,
    /// Its own host says at once that it may not.
    Refused,
    /// Nothing came back.
    Lost,
}

/// Everybody who got through to a listener.
pub(crate) type Arrivals = Arc<Mutex<BTreeSet<Flow>>>;

/// Threads on every host, and listeners on every port of each.
#[derive(Debug)]
pub(crate) struct Probes {
    hosts: Vec<Runtime>,
    arrivals: Arrivals,
}

impl Probes {
    pub(crate) fn start(place: &Place) -> Result<Self> {
        let arrivals = Arrivals::default();
        let mut hosts = Vec::new();
        for host in Host::ALL {
            let threads = place.host(host).runtime(1)?;
            for port in PORTS {
                let (tcp, udp) = threads.block_on(threads.spawn(bind(port)))??;
                let listener = Listener { host, port, arrivals: Arc::clone(&arrivals) };
                // They end with the threads of their host.
                drop(threads.spawn(take_streams(tcp, listener.clone())));
                drop(threads.spawn(take_datagrams(udp, listener)));
            }
            hosts.push(threads);
        }
        Ok(Self { hosts, arrivals })
    }

    pub(crate) fn forget_arrivals(&self) {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(crate) fn arrivals(&self) -> BTreeSet<Flow> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends them all at the same time. Who expects an answer waits longer for it.
    pub(crate) fn send(&self, flows: &[(Flow, Host)], expected: impl Fn(&Flow, Host) -> Fate) -> Result<Vec<Fate>> {
        let begin = |(flow, from): &(Flow, Host)| {
            let patience = if expected(flow, *from) == Fate::Lost { SILENCE } else { ANSWER_MAX };
            self.hosts[*from as usize].spawn(probe(*flow, patience))
        };
        let begun: Vec<_> = flows.iter().map(begin).collect();
        let ended = begun.into_iter().map(|probe| self.hosts[0].block_on(probe).context("a probe panicked"));
        ended.collect()
    }
}

async fn probe(flow: Flow, patience: Duration) -> Fate {
    let to = match flow.from {
        IpAddr::V4(_) => flow.to.v4().into(),
        IpAddr::V6(_) => flow.to.v6().into(),
    };
    let to = SocketAddr::new(to, flow.port);
    let answer = async {
        match flow.protocol {
            Protocol::Tcp => TcpStream::connect(to).await.map(drop),
            Protocol::Udp => exchange_datagrams(flow.from, to).await,
        }
    };
    match timeout(patience, answer).await {
        Ok(Ok(())) => Fate::Answered,
        Ok(Err(_)) => Fate::Refused,
        Err(_) => Fate::Lost,
    }
}

async fn exchange_datagrams(from: IpAddr, to: SocketAddr) -> io::Result<()> {
    let socket = UdpSocket::bind((from, 0)).await?;
    socket.connect(to).await?;
    socket.send(b"?").await?;
    socket.recv(&mut [0; 1]).await.map(drop)
}

async fn bind(port: u16) -> io::Result<(TcpListener, UdpSocket)> {
    let address = (Ipv6Addr::UNSPECIFIED, port);
    Ok((TcpListener::bind(address).await?, UdpSocket::bind(address).await?))
}

async fn take_streams(tcp: TcpListener, listener: Listener) {
    while let Ok((_, from)) = tcp.accept().await {
        listener.note(Protocol::Tcp, from);
    }
}

async fn take_datagrams(udp: UdpSocket, listener: Listener) {
    while let Ok((_, from)) = udp.recv_from(&mut [0; 1]).await {
        listener.note(Protocol::Udp, from);
        // Whether the answer gets through is what the one who asked sees.
        drop(udp.send_to(b"!", from).await);
    }
}

/// One port of one host.
#[derive(Debug, Clone)]
struct Listener {
    host: Host,
    port: u16,
    arrivals: Arrivals,
}

impl Listener {
    fn note(&self, protocol: Protocol, from: SocketAddr) {
        let flow = Flow { from: from.ip().to_canonical(), to: self.host, protocol, port: self.port };
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).insert(flow);
    }
}
