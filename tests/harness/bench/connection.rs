//! One connection of a load: kept open, opened again when the server closes it.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use tokio::{
    io::AsyncWriteExt as _,
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use super::http::{Answer, Answers};

/// An open connection.
#[derive(Debug)]
pub struct Connection {
    address: SocketAddr,
    answers: Answers<OwnedReadHalf>,
    sink: OwnedWriteHalf,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let connection = TcpStream::connect(address).await.with_context(|| format!("cannot reach {address}"))?;
        connection.set_nodelay(true)?;
        let (source, sink) = connection.into_split();
        Ok(Self { address, answers: Answers::new(source), sink })
    }

    /// Sends a request and gives the answer and how long it took. A new connection, where one is needed, takes no part in it.
    pub async fn exchange(&mut self, request: &[u8]) -> Result<(Answer<'_>, Duration)> {
        if self.answers.is_last() {
            *self = Self::open(self.address).await?;
        }
        let asked = Instant::now();
        self.sink.write_all(request).await?;
        let answer = self.answers.next().await?;
        Ok((answer, asked.elapsed()))
    }
}
