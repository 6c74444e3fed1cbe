//! The websocket on which a desktop or the command line waits for a phone.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use futures::StreamExt;
use serde_json::Value;
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest},
};

use super::{answer::text, caller::Caller, caller::split};

/// The command line waits this long; a desktop as long as its window is open.
const PATIENCE: Duration = Duration::from_secs(120);

/// An open socket.
#[derive(Debug)]
pub struct Waiting {
    socket: WebSocketStream<TcpStream>,
}

/// Why no socket was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub status: u16,
    pub body: String,
}

impl Waiting {
    /// A socket for this login; anything but an upgrade is a failure.
    pub(super) async fn open(caller: &mut Caller, proxy_url: &str, token: &str) -> Result<Self> {
        let begun = Instant::now();
        let opened = open(proxy_url, token).await;
        let (status, opened) = match opened {
            Ok(Ok(socket)) => (Some(101), Ok(Self { socket })),
            Ok(Err(refused)) => (Some(refused.status), Err(anyhow::anyhow!("refused: {}", refused.body))),
            Err(error) => (None, Err(error)),
        };
        caller.note("client-mfa/remote", status, begun.elapsed(), opened)
    }

    /// A socket of a test that looks at what is refused as well.
    pub async fn try_open(proxy_url: &str, token: &str) -> Result<Result<Self, Refused>> {
        Ok(open(proxy_url, token).await?.map(|socket| Self { socket }))
    }

    /// The key, once the phone has said yes: exactly one text, of exactly one shape, and then the end.
    pub async fn key(self, caller: &mut Caller) -> Result<String> {
        let begun = Instant::now();
        let read = timeout(PATIENCE, self.read()).await;
        let key = read.context("nobody said yes").and_then(|key| key);
        caller.note("mfa_success", None, begun.elapsed(), key)
    }

    /// The key without a line.
    pub async fn read(mut self) -> Result<String> {
        let mut key = None;
        while let Some(message) = self.socket.next().await {
            match message {
                Ok(Message::Text(frame)) => {
                    ensure!(key.is_none(), "a second frame: a desktop would not know it");
                    key = Some(success(&frame)?);
                }
                Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {}
                Ok(Message::Binary(_)) => bail!("a frame that is no text"),
                Ok(Message::Close(_)) | Err(Error::ConnectionClosed) => break,
                Err(error) => return Err(error).context("the socket broke"),
            }
        }
        key.context("the socket was closed without a key")
    }
}

async fn open(proxy_url: &str, token: &str) -> Result<Result<WebSocketStream<TcpStream>, Refused>> {
    let url = format!("{}api/v1/client-mfa/remote?token={token}", proxy_url.replacen("http", "ws", 1));
    let (address, _) = split(&url.replacen("ws", "http", 1))?;
    let stream = TcpStream::connect(address).await.context("cannot connect")?;
    match client_async(url.into_client_request()?, stream).await {
        Ok((socket, _)) => Ok(Ok(socket)),
        Err(Error::Http(response)) => {
            let body = response.body().as_deref().map(String::from_utf8_lossy).unwrap_or_default().into_owned();
            Ok(Err(Refused { status: response.status().as_u16(), body }))
        }
        Err(error) => Err(error).context("no websocket"),
    }
}

fn success(frame: &str) -> Result<String> {
    let body: Value = serde_json::from_str(frame).context("a frame that is no JSON")?;
    ensure!(body["type"] == "mfa_success", "an unknown frame: {body}");
    ensure!(body.as_object().is_some_and(|fields| fields.len() == 2), "more than a type and a key: {body}");
    text(&body, "/preshared_key")
}
