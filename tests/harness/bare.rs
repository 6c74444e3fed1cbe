//! A server that answers 503 at once from memory: what a measured time would be if the programs under test took none.
//!
//! Asked at the same moment, by the same kind of client and through the same kind of NGINX, which tries another one as well,
//! it says how long this machine keeps anybody waiting just now.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Result;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

const ANSWER: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";

/// Longer than any request of ours.
const REQUEST_MAX: usize = 4096;

/// Answers until it is dropped.
#[derive(Debug)]
pub struct Bare {
    pub address: SocketAddr,
    _server: JoinSet<()>,
}

impl Bare {
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let mut server = JoinSet::new();
        server.spawn(serve(listener));
        Ok(Self { address, _server: server })
    }
}

async fn serve(listener: TcpListener) {
    let mut callers = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        callers.spawn(answer(stream));
        while callers.try_join_next().is_some() {}
    }
}

/// A caller that goes away meanwhile is its own affair: it counts its failures itself.
async fn answer(mut stream: TcpStream) {
    let mut request = [0; REQUEST_MAX];
    if stream.read(&mut request).await.is_ok() && stream.write_all(ANSWER).await.is_ok() {
        drop(stream.shutdown().await);
    }
}
