//! Memory of websockets that wait: thousands of them, opened as desktops do, and nothing else to do.
//!
//! Each needs a descriptor here and one in the Edge, so `ulimit -n` has to allow that many.

use std::{fmt, time::Duration};

use anyhow::{Context as _, Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use postern_tests::bench::process;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::sleep,
};

use crate::scene::Scene;

const WEBSOCKETS: usize = 5_000;
/// Opened and closed before, so that what the first ones cost for all later ones is not counted.
const WARM_UP: usize = 100;
const AT_ONCE: usize = 32;
/// Shorter than the time between two pings, which nobody answers here.
const SETTLE: Duration = Duration::from_secs(3);
/// Longest head of a reply.
const HEAD_MAX: usize = 4096;
/// Room for all of them; everything else has its default.
pub(crate) const RAISED: [&str; 2] = ["--websockets-max=6000", "--websockets-max-per-address=6000"];

/// What one of them takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IdleWebsocket {
    pub(crate) kib: f64,
}

impl fmt::Display for IdleWebsocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "websockets={WEBSOCKETS} idle_kib_each={:.1} raised={}", self.kib, RAISED.join(","))
    }
}

/// Memory of the scene's Edge with all of them, less that without any, for each.
pub(crate) async fn measure(scene: &Scene) -> Result<IdleWebsocket> {
    drop(open_all(scene, WARM_UP).await?);
    sleep(SETTLE).await;
    let before = process::resident_kib(scene.edge.pid())?;
    let sockets = open_all(scene, WEBSOCKETS).await?;
    sleep(SETTLE).await;
    let after = process::resident_kib(scene.edge.pid())?;
    for socket in &sockets {
        // A ping may have come.
        ensure!(!matches!(socket.try_read(&mut [0; 16]), Ok(0)), "a websocket did not stay open");
    }
    Ok(IdleWebsocket { kib: after.saturating_sub(before) as f64 / WEBSOCKETS as f64 })
}

async fn open_all(scene: &Scene, count: usize) -> Result<Vec<TcpStream>> {
    stream::iter(0..count).map(|number| open(scene, number)).buffer_unordered(AT_ONCE).try_collect().await
}

async fn open(scene: &Scene, number: usize) -> Result<TcpStream> {
    let mut socket = TcpStream::connect(scene.edge.http).await.context("ulimit -n may be too low")?;
    // As long as the tokens that Core makes.
    let opening = format!(
        "GET /api/v1/client-mfa/remote?token={number:0>320} HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\n\
         upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    socket.write_all(opening.as_bytes()).await?;
    let mut head = Vec::with_capacity(1024);
    while !head.ends_with(b"\r\n\r\n") {
        ensure!(head.len() < HEAD_MAX && socket.read_buf(&mut head).await? > 0, "the head of the reply is cut short");
    }
    ensure!(head.starts_with(b"HTTP/1.1 101 "), "refused: {}", String::from_utf8_lossy(&head));
    Ok(socket)
}
