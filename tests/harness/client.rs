//! A client that sends one request on a connection of its own, as curl does.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use crate::secrets;

/// Longer than any answer may take, so that a late answer is seen as late and not as lost.
const GIVE_UP_AFTER: Duration = Duration::from_secs(10);

/// Talks to one address.
#[derive(Debug, Clone)]
pub struct Client {
    address: SocketAddr,
    source: Option<Ipv4Addr>,
    headers: Vec<(String, String)>,
}

/// A whole answer, and the time from before the connection to the last byte.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub took: Duration,
}

impl Client {
    pub fn new(address: SocketAddr) -> Self {
        Self { address, source: None, headers: Vec::new() }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same client on another host: any address of 127.0.0.0/8 is this machine's.
    #[must_use]
    pub fn from_address(mut self, source: Ipv4Addr) -> Self {
        self.source = Some(source);
        self
    }

    /// The same client, sending one more header with each request.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub async fn get(&self, path: &str) -> Result<Reply> {
        self.send(Method::GET, path, Bytes::new()).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Result<Reply> {
        let with_type = self.clone().with_header("content-type", "application/json");
        with_type.send(Method::POST, path, Bytes::from(body.to_string())).await
    }

    /// Any body under any method, with the headers of this client only.
    pub async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Reply> {
        timeout(GIVE_UP_AFTER, self.exchange(method, path, body))
            .await
            .with_context(|| format!("no answer to {path} from {} in {GIVE_UP_AFTER:?}", self.address))?
    }

    async fn exchange(&self, method: Method, path: &str, body: Bytes) -> Result<Reply> {
        let (begun, sent) = (Instant::now(), body.clone());
        let stream = self.connect().await.context("cannot connect")?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let mut request = Request::builder().method(method).uri(path);
        if !self.headers.iter().any(|(name, _)| name == "host") {
            request = request.header("host", self.address.to_string());
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(body))?;
        secrets::remember(request.headers(), &sent);
        let exchange = async move {
            let response = sender.send_request(request).await?;
            let (head, body) = response.into_parts();
            let body = body.collect().await?.to_bytes();
            let took = begun.elapsed();
            secrets::remember(&head.headers, &body);
            anyhow::Ok(Reply { status: head.status.as_u16(), headers: head.headers, body, took })
        };
        // The exchange owns the sender: when it is done, the connection ends too. What the connection has to say about an
        // error, the exchange says as well.
        let (reply, _) = tokio::join!(exchange, connection);
        reply
    }

    async fn connect(&self) -> io::Result<TcpStream> {
        let Some(source) = self.source else { return TcpStream::connect(self.address).await };
        let socket = TcpSocket::new_v4()?;
        socket.bind((source, 0).into())?;
        socket.connect(self.address).await
    }
}

impl Reply {
    /// The body as JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body)
            .with_context(|| format!("not JSON (status {}): {:?}", self.status, self.body))
    }

    /// A header as text, empty when absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}
