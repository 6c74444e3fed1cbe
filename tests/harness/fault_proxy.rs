//! A relay between two hosts that does to connections what networks do: it delays them, and cuts them all in one moment.
//!
//! It notes when each connection came, so that whoever dials too eagerly is seen.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use bytes::{Bytes, BytesMut};
use socket2::SockRef;
use tokio::{
    io::{self, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp},
    sync::mpsc,
    task::JoinSet,
    time::sleep_until,
};
use tokio_util::sync::CancellationToken;

/// Read at a time; one chunk is delayed as a whole.
const CHUNK: usize = 16 * 1024;
/// On their way in one direction: more than anything here has under way at a time.
const CHUNKS: usize = 256;

/// Relays until it is dropped.
#[derive(Debug)]
pub struct FaultProxy {
    shared: Arc<Shared>,
    addresses: Vec<SocketAddr>,
    _tasks: JoinSet<()>,
}

/// How long each chunk is on its way, both ways.
#[derive(Debug, Clone, Copy, Default)]
pub struct Delay {
    pub least: Duration,
    /// Added to some more and to others less; what was sent first still arrives first.
    pub jitter: Duration,
}

/// A connection that came.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// Which target it was for.
    pub target: usize,
    pub from: IpAddr,
    pub at: Instant,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    delay: Delay,
    cut: CancellationToken,
    arrivals: Vec<Arrival>,
}

impl FaultProxy {
    /// A port of this address for each target.
    pub async fn start(address: IpAddr, targets: &[SocketAddr]) -> Result<Self> {
        let shared = Arc::new(Shared { state: Mutex::default() });
        let (mut addresses, mut tasks) = (Vec::new(), JoinSet::new());
        for (number, target) in targets.iter().enumerate() {
            let listener = TcpListener::bind((address, 0)).await.context("no port for the fault proxy")?;
            addresses.push(listener.local_addr()?);
            tasks.spawn(accept(listener, *target, number, Arc::clone(&shared)));
        }
        Ok(Self { shared, addresses, _tasks: tasks })
    }

    /// In the order of the targets.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// For connections from now on.
    pub fn delay(&self, delay: Delay) {
        self.shared.with(|state| state.delay = delay);
    }

    /// Resets every connection, on both sides, and says when. New ones are accepted as before.
    pub fn cut_all(&self) -> Instant {
        let cut = self.shared.with(|state| std::mem::take(&mut state.cut));
        let at = Instant::now();
        cut.cancel();
        at
    }

    /// Every connection so far.
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.shared.with(|state| state.arrivals.clone())
    }
}

impl Shared {
    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, number: usize, shared: Arc<Shared>) {
    let mut relays = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((from, peer)) = accepted else { continue };
                let (delay, cut) = shared.with(|state| {
                    state.arrivals.push(Arrival { target: number, from: peer.ip(), at: Instant::now() });
                    (state.delay, state.cut.clone())
                });
                relays.spawn(relay(from, target, delay, cut));
            }
            Some(_) = relays.join_next() => {}
        }
    }
}

async fn relay(mut from: TcpStream, target: SocketAddr, delay: Delay, cut: CancellationToken) {
    let Ok(mut to) = TcpStream::connect(target).await else { return reset(&from) };
    let is_cut = {
        // Borrowed halves: owned ones would say goodbye when they are dropped.
        let ((from_read, from_write), (to_read, to_write)) = (from.split(), to.split());
        tokio::select! {
            // One end has gone, and the other follows.
            _ = async { tokio::join!(carry(from_read, to_write, delay), carry(to_read, from_write, delay)) } => false,
            () = cut.cancelled() => true,
        }
    };
    if is_cut {
        reset(&from);
        reset(&to);
    }
}

/// From its end on.
fn reset(end: &TcpStream) {
    drop(SockRef::from(end).set_linger(Some(Duration::ZERO)));
}

async fn carry(mut from: tcp::ReadHalf<'_>, mut to: tcp::WriteHalf<'_>, delay: Delay) -> io::Result<()> {
    let (sender, mut receiver) = mpsc::channel::<(Instant, Bytes)>(CHUNKS);
    let reading = async move {
        for number in 0.. {
            let mut chunk = BytesMut::with_capacity(CHUNK);
            if from.read_buf(&mut chunk).await? == 0 || sender.send((delay.due(number), chunk.freeze())).await.is_err()
            {
                break;
            }
        }
        io::Result::Ok(())
    };
    let writing = async move {
        while let Some((due, chunk)) = receiver.recv().await {
            sleep_until(due.into()).await;
            to.write_all(&chunk).await?;
        }
        to.shutdown().await
    };
    tokio::try_join!(reading, writing).map(drop)
}

impl Delay {
    /// When the chunk of this number arrives, if it is sent now. A sequence that looks random, and is the same in every run.
    fn due(self, number: u32) -> Instant {
        let part = f64::from(number.wrapping_mul(2_654_435_769)) / f64::from(u32::MAX);
        Instant::now() + self.least + self.jitter.mul_f64(part)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    /// Sends back what it gets.
    async fn echo() -> (SocketAddr, JoinSet<()>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (mut read, mut write) = stream.split();
            // A reset ends it.
            drop(io::copy(&mut read, &mut write).await);
        });
        (address, tasks)
    }

    #[tokio::test]
    async fn what_is_sent_arrives_late_and_a_cut_is_a_reset() {
        let (target, _tasks) = echo().await;
        let proxy = FaultProxy::start(Ipv4Addr::LOCALHOST.into(), &[target]).await.unwrap();
        let least = Duration::from_millis(20);
        proxy.delay(Delay { least, jitter: Duration::ZERO });
        let mut stream = TcpStream::connect(proxy.addresses()[0]).await.unwrap();

        let begun = Instant::now();
        stream.write_all(b"hello").await.unwrap();
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"hello");
        assert!(begun.elapsed() >= 2 * least, "{:?}", begun.elapsed());

        proxy.cut_all();
        assert_eq!(stream.read(&mut answer).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(proxy.arrivals().len(), 1);
    }
}
