//! A relay that stops an adoption at one exact step: HTTP/2 frames of one call are held back.
//!
//! Connections that begin with TLS are passed on as they are.

use std::{net::SocketAddr, sync::Arc};

use postern_core_link::EdgeAddress;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Notify, watch},
    task::JoinSet,
};

const PREFACE_LENGTH: usize = 24;
const HEADER_LENGTH: usize = 9;
const TLS_HANDSHAKE: u8 = 22;
const TLS_ALERT: u8 = 21;

/// The calls of an adoption, by the number of their stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    GetCsr = 3,
    SendCert = 5,
}

/// What is held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    Nothing,
    Request(Step),
    Reply(Step),
}

pub(crate) struct Proxy {
    address: EdgeAddress,
    shared: Arc<Shared>,
    _accepting: JoinSet<()>,
}

struct Shared {
    target: SocketAddr,
    hold: watch::Sender<Hold>,
    reached: Notify,
    cut: Notify,
}

impl Proxy {
    pub(crate) async fn to(target: &EdgeAddress, hold: Hold) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string().parse().unwrap();
        let target = target.to_string().parse().unwrap();
        let shared =
            Arc::new(Shared { target, hold: watch::Sender::new(hold), reached: Notify::new(), cut: Notify::new() });
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, shared.clone()));
        Self { address, shared, _accepting: accepting }
    }

    pub(crate) fn address(&self) -> &EdgeAddress {
        &self.address
    }

    /// Returns when the step is reached and held.
    pub(crate) async fn reached(&self) {
        self.shared.reached.notified().await;
    }

    /// Lets pass what is held, and everything after it.
    pub(crate) fn release(&self) {
        self.shared.hold.send_replace(Hold::Nothing);
    }

    /// Cuts the connection that is held; what comes later passes.
    pub(crate) fn cut(&self) {
        self.shared.cut.notify_waiters();
        self.release();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        connections.spawn(relay(stream, shared.clone()));
    }
}

async fn relay(mut core: TcpStream, shared: Arc<Shared>) {
    let mut first = [0];
    let Ok(mut edge) = TcpStream::connect(shared.target).await else { return };
    if core.peek(&mut first).await.is_err() || first[0] == TLS_HANDSHAKE {
        tokio::io::copy_bidirectional(&mut core, &mut edge).await.ok();
        return;
    }
    let mut preface = [0; PREFACE_LENGTH];
    if core.read_exact(&mut preface).await.is_err() || edge.write_all(&preface).await.is_err() {
        return;
    }
    // An adopted Edge answers plain HTTP/2 with a TLS alert.
    if edge.peek(&mut first).await.is_err() || first[0] == TLS_ALERT {
        tokio::io::copy_bidirectional(&mut core, &mut edge).await.ok();
        return;
    }
    let (mut from_core, mut to_core) = core.into_split();
    let (mut from_edge, mut to_edge) = edge.into_split();
    tokio::select! {
        () = shared.cut.notified() => {}
        () = frames(&mut from_core, &mut to_edge, &shared, Hold::Request) => {}
        () = frames(&mut from_edge, &mut to_core, &shared, Hold::Reply) => {}
    }
}

async fn frames(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    shared: &Shared,
    side: fn(Step) -> Hold,
) {
    let mut hold = shared.hold.subscribe();
    let mut header = [0; HEADER_LENGTH];
    while from.read_exact(&mut header).await.is_ok() {
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize;
        let stream = u32::from_be_bytes([header[5], header[6], header[7], header[8]]);
        let mut payload = vec![0; length];
        if from.read_exact(&mut payload).await.is_err() {
            return;
        }
        let held = |hold: &Hold| {
            [Step::GetCsr, Step::SendCert].into_iter().any(|step| *hold == side(step) && stream == step as u32)
        };
        if held(&hold.borrow_and_update()) {
            shared.reached.notify_one();
            if hold.wait_for(|hold| !held(hold)).await.is_err() {
                return;
            }
        }
        if to.write_all(&[header.as_slice(), &payload].concat()).await.is_err() {
            return;
        }
    }
}
