//! A conversation with the mail server, from the greeting to the login.
//!
//! The library reads a line to its end however long it is, so what a server may say in all is bounded below it.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use lettre::transport::smtp::{
    authentication::{self, DEFAULT_MECHANISMS},
    client::{AsyncSmtpConnection, AsyncTokioStream, Certificate, CertificateStore, TlsParameters},
    extension::ClientId,
};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::{Credentials, Encryption, MailerError, SendError, SmtpServer};

const CONNECT_MAX: Duration = Duration::from_secs(10);
/// Some hundred lines, and certificates, are far less.
const HEARD_MAX: usize = 256 * 1024;

/// The way to the mail server.
pub(super) struct Route {
    host: String,
    port: u16,
    protection: Protection,
    credentials: Option<authentication::Credentials>,
    hello: ClientId,
}

enum Protection {
    Tls(TlsConnector, ServerName<'static>),
    StartTls(TlsParameters),
    None,
}

/// A stream that says so much and then fails.
#[derive(Debug)]
struct Bounded<S> {
    stream: S,
    peer: SocketAddr,
    left: usize,
}

impl Route {
    pub(super) fn new(
        server: &SmtpServer,
        authorities: &[CertificateDer<'static>],
        hello: ClientId,
    ) -> Result<Self, MailerError> {
        let SmtpServer { host, port, encryption, credentials } = server;
        let protection = match encryption {
            Encryption::Tls => {
                let name = ServerName::try_from(host.clone()).map_err(MailerError::Host)?;
                Protection::Tls(connector(authorities)?, name)
            }
            Encryption::StartTls => Protection::StartTls(parameters(host, authorities).map_err(MailerError::Tls)?),
            Encryption::None => Protection::None,
        };
        let credentials = credentials.as_ref().map(|Credentials { user, password }| {
            authentication::Credentials::new(user.clone(), password.expose().to_owned())
        });
        Ok(Self { host: host.clone(), port: *port, protection, credentials, hello })
    }

    /// A conversation in which mails can be handed over.
    pub(super) async fn open(&self) -> Result<AsyncSmtpConnection, SendError> {
        let connect = TcpStream::connect((self.host.as_str(), self.port));
        let stream =
            timeout(CONNECT_MAX, connect).await.map_err(|_| SendError::Slow)?.map_err(SendError::Connection)?;
        let peer = stream.peer_addr().map_err(SendError::Connection)?;
        let mut connection = match &self.protection {
            Protection::None => self.greet(stream, peer).await?,
            Protection::StartTls(parameters) => {
                let mut connection = self.greet(stream, peer).await?;
                connection.starttls(parameters.clone(), &self.hello).await?;
                connection
            }
            Protection::Tls(connector, name) => {
                let stream = connector.connect(name.clone(), stream).await.map_err(SendError::Connection)?;
                self.greet(stream, peer).await?
            }
        };
        if let Some(credentials) = &self.credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        Ok(connection)
    }

    async fn greet<S>(&self, stream: S, peer: SocketAddr) -> Result<AsyncSmtpConnection, SendError>
    where
        Bounded<S>: AsyncTokioStream + 'static,
    {
        let stream = Box::new(Bounded { stream, peer, left: HEARD_MAX });
        Ok(AsyncSmtpConnection::connect_with_transport(stream, &self.hello).await?)
    }
}

fn connector(authorities: &[CertificateDer<'static>]) -> Result<TlsConnector, MailerError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for authority in authorities {
        roots.add(authority.clone()).map_err(MailerError::Authority)?;
    }
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

fn parameters(
    host: &str,
    authorities: &[CertificateDer<'static>],
) -> Result<TlsParameters, lettre::transport::smtp::Error> {
    let mut builder = TlsParameters::builder(host.to_owned()).certificate_store(CertificateStore::WebpkiRoots);
    for authority in authorities {
        builder = builder.add_root_certificate(Certificate::from_der(authority.to_vec())?);
    }
    builder.build_rustls()
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.left == 0 {
            return Poll::Ready(Err(io::Error::other(format!("it says more than {HEARD_MAX} bytes"))));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
        this.left = this.left.saturating_sub(buffer.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

impl<S> AsyncTokioStream for Bounded<S>
where
    S: AsyncRead + AsyncWrite + Send + Sync + Unpin + std::fmt::Debug,
{
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}
