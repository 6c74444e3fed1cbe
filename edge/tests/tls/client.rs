//! Clients that show exactly what they got.

use std::{io, net::SocketAddr, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::certificates::NAME;

/// A whole reply as it came.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) text: String,
}

impl Reply {
    fn parse(text: String) -> Self {
        let status = text.split(' ').nth(1).unwrap_or_else(|| panic!("no reply: {text:?}"));
        Self { status: status.parse().unwrap(), text }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let prefix = format!("{name}: ");
        self.text.lines().find_map(|line| line.strip_prefix(prefix.as_str()))
    }
}

/// A GET by plain HTTP.
pub(crate) async fn get(address: SocketAddr, path: &str) -> Reply {
    send(address, &head("GET", path, "edge", "connection: close\r\n")).await
}

/// Whatever is written there, by plain HTTP.
pub(crate) async fn send(address: SocketAddr, request: &str) -> Reply {
    read_all(TcpStream::connect(address).await.unwrap(), request).await
}

pub(crate) fn head(method: &str, path: &str, host: &str, lines: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n{lines}\r\n")
}

/// A connection by TLS, as a browser that knows these authorities makes it.
pub(crate) async fn connect(address: SocketAddr, roots: RootCertStore) -> io::Result<TlsStream<TcpStream>> {
    connect_with(address, roots, rustls::DEFAULT_VERSIONS, &[b"http/1.1"]).await
}

pub(crate) async fn connect_with(
    address: SocketAddr,
    roots: RootCertStore,
    versions: &[&'static SupportedProtocolVersion],
    protocols: &[&[u8]],
) -> io::Result<TlsStream<TcpStream>> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let server = ServerName::try_from(NAME).unwrap();
    TlsConnector::from(Arc::new(config)).connect(server, TcpStream::connect(address).await?).await
}

/// What the other end showed.
pub(crate) fn shown(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

pub(crate) async fn read_all(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> Reply {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    Reply::parse(String::from_utf8(bytes).unwrap())
}

/// One reply of a connection that stays open; it is small enough to come at once.
pub(crate) async fn read_one(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), request: &str) -> Reply {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = vec![0; 16 * 1024];
    let length = stream.read(&mut bytes).await.unwrap();
    Reply::parse(String::from_utf8(bytes[..length].to_vec()).unwrap())
}
