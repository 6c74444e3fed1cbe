//! Gives a new Edge its identity: Core's side of the stock flow.
//!
//! The new Edge cannot prove who it is, and the connection is plain: whoever answers at the address
//! is trusted. Signing is the caller's; nothing is stored here and nothing is retried.

use std::{
    collections::VecDeque,
    error::Error,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use postern_proto::{
    common::{CertBundle, CertificateInfo, LogEntry},
    service::ProxySetupClient,
    version::{Peer, VersionError},
};
use rustls_pki_types::{CertificateDer, CertificateSigningRequestDer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::JoinSet,
    time::timeout,
};
use tonic::{
    Code, Request, Status, Streaming,
    metadata::{Ascii, MetadataValue},
};

use crate::{
    edge::EdgeAddress,
    headers,
    transport::{Channel, Transport, tcp},
};

/// For each of the three calls.
const CALL_MAX: Duration = Duration::from_secs(10);
/// The newest lines of the Edge's log are kept; it may send any number.
const LOG_MAX: usize = 200;

/// An adoption that the Edge has accepted; dropping it makes the Edge forget it.
///
/// [`Adoption::start`] → [`Adoption::csr`] → [`CsrReceived::send`].
pub struct Adoption {
    address: EdgeAddress,
    client: ProxySetupClient<Channel>,
    bearer: MetadataValue<Ascii>,
    peer: Peer,
    log: EdgeLog,
    transport: Transport,
    /// Reads the Edge's log for as long as the adoption lasts: its end would end the adoption.
    _log_reader: JoinSet<()>,
}

/// The Edge waits for its certificate.
pub struct CsrReceived {
    adoption: Adoption,
    csr: CertificateSigningRequestDer<'static>,
}

/// What an Edge needs to recognise Core, and to be recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// Signed from the Edge's request.
    pub edge_cert: CertificateDer<'static>,
    /// Who signed it, and the client certificate.
    pub ca_cert: CertificateDer<'static>,
    /// What Core will show to this Edge.
    pub client_cert: CertificateDer<'static>,
}

/// An adoption failed. Its source says why and what to do.
#[derive(Debug, thiserror::Error)]
#[error("cannot adopt the Edge at {address}")]
pub struct AdoptError {
    /// What was dialled.
    pub address: EdgeAddress,
    /// Why.
    #[source]
    pub failure: AdoptFailure,
    /// What the Edge said meanwhile, oldest first; may be empty.
    pub log: Vec<String>,
}

/// Why an adoption failed.
#[derive(Debug, thiserror::Error)]
pub enum AdoptFailure {
    /// Nothing answers there.
    #[error("nothing answers there; check that the Edge runs and that its tunnel port can be reached")]
    Unreachable(#[source] std::io::Error),
    /// It speaks TLS, so it has an identity.
    #[error(
        "it is adopted already; run `postern-edge reset` there (a stock Edge: delete its certificates) to adopt it anew"
    )]
    AlreadyAdopted,
    /// It announced no version, or one that we do not speak to.
    #[error("it is not a usable Edge; install a newer version there")]
    Version(#[source] VersionError),
    /// It said no.
    #[error("it refused ({code:?}): {message}")]
    Refused {
        /// Its reason, for programs.
        code: Code,
        /// Its reason, for people.
        message: String,
    },
    /// It accepts connections but does not answer.
    #[error("it did not answer {call} within {limit:?}; look at its log")]
    TimedOut {
        /// What was asked.
        call: &'static str,
        /// How long was waited.
        limit: Duration,
    },
    /// The connection ended.
    #[error("the connection was lost; look at the log of the Edge, and try again")]
    Lost(#[source] Box<dyn Error + Send + Sync>),
}

impl AdoptFailure {
    /// The Edge may have stored its identity nevertheless, if this happened while it was sent:
    /// dial it before trying again.
    #[must_use]
    pub fn is_uncertain(&self) -> bool {
        match self {
            Self::TimedOut { .. } | Self::Lost(_) => true,
            Self::Unreachable(_) | Self::AlreadyAdopted | Self::Version(_) | Self::Refused { .. } => false,
        }
    }
}

impl Adoption {
    /// Asks the Edge whether it may be adopted.
    ///
    /// # Errors
    /// [`AdoptError`]; the Edge is as before.
    pub async fn start(address: &EdgeAddress) -> Result<Self, AdoptError> {
        let log = EdgeLog::default();
        Self::open(address, &log).await.map_err(|failure| log.explain(address, failure))
    }

    /// What the Edge announced.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Gets the Edge's request for a certificate, for the host under which it was dialled.
    ///
    /// # Errors
    /// [`AdoptError`]; the Edge is as before.
    pub async fn csr(mut self) -> Result<CsrReceived, AdoptError> {
        let info = CertificateInfo { cert_hostname: self.address.host().to_owned() };
        let request = introduce(info, &self.bearer);
        let reply = call("GetCsr", &self.transport, self.client.get_csr(request)).await;
        let csr = reply.map_err(|failure| self.log.explain(&self.address, failure))?.der_data.into();
        Ok(CsrReceived { adoption: self, csr })
    }

    async fn open(address: &EdgeAddress, log: &EdgeLog) -> Result<Self, AdoptFailure> {
        let stream = tcp::connect(address).await.map_err(AdoptFailure::Unreachable)?;
        Self::open_over(stream, address, log).await
    }

    async fn open_over<IO>(io: IO, address: &EdgeAddress, log: &EdgeLog) -> Result<Self, AdoptFailure>
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let transport = Transport::open(io).await.map_err(|error| AdoptFailure::Lost(Box::new(error)))?;
        let mut client = ProxySetupClient::with_origin(transport.channel(), headers::origin("http", address));
        let bearer = random_bearer();
        let reply = call_keeping_headers("Start", &transport, client.start(introduce((), &bearer))).await?;
        let peer = Peer::parse(reply.metadata().as_ref()).map_err(AdoptFailure::Version)?;
        let mut log_reader = JoinSet::new();
        log_reader.spawn(log.clone().read(reply.into_inner()));
        let (address, log) = (address.clone(), log.clone());
        Ok(Self { address, client, bearer, peer, log, transport, _log_reader: log_reader })
    }
}

impl CsrReceived {
    /// The request, PKCS #10 in DER. The Edge is not yet trusted: take the key from it, not more.
    #[must_use]
    pub fn csr(&self) -> &CertificateSigningRequestDer<'static> {
        &self.csr
    }

    /// What the Edge announced.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        self.adoption.peer()
    }

    /// Sends the signed certificates. When this succeeds the Edge has stored them, and expects to
    /// be dialled. Store what is needed for that before calling this: an answer may get lost.
    ///
    /// # Errors
    /// [`AdoptError`]; see [`AdoptFailure::is_uncertain`].
    pub async fn send(self, bundle: Bundle) -> Result<(), AdoptError> {
        let Adoption { address, mut client, bearer, log, transport, .. } = self.adoption;
        let bundle = CertBundle {
            component_cert_der: bundle.edge_cert.to_vec(),
            ca_cert_der: bundle.ca_cert.to_vec(),
            core_client_cert_der: bundle.client_cert.to_vec(),
        };
        let sent = call("SendCert", &transport, client.send_cert(introduce(bundle, &bearer))).await;
        sent.map_err(|failure| log.explain(&address, failure))
    }
}

impl fmt::Debug for Adoption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Adoption").field("address", &self.address).field("peer", &self.peer).finish_non_exhaustive()
    }
}

impl fmt::Debug for CsrReceived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CsrReceived").field("address", &self.adoption.address).finish_non_exhaustive()
    }
}

/// The newest lines of an Edge's log.
#[derive(Clone, Default)]
struct EdgeLog(Arc<Mutex<VecDeque<String>>>);

impl EdgeLog {
    async fn read(self, mut entries: Streaming<LogEntry>) {
        while let Ok(Some(entry)) = entries.message().await {
            let LogEntry { level, target, message, timestamp, fields: _ } = entry;
            let line = format!("{timestamp} {level} {target}: {message}");
            let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if lines.len() == LOG_MAX {
                lines.pop_front();
            }
            lines.push_back(headers::printable(&line));
        }
    }

    fn explain(&self, address: &EdgeAddress, failure: AdoptFailure) -> AdoptError {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        AdoptError { address: address.clone(), failure, log: lines.iter().cloned().collect() }
    }
}

/// The Edge takes whatever comes with Start as the name of the session, and asks for it again.
fn random_bearer() -> MetadataValue<Ascii> {
    let [high, low]: [u128; 2] = rand::random();
    format!("Bearer {high:032x}{low:032x}").parse().expect("hexadecimal digits are ASCII")
}

fn introduce<T>(message: T, bearer: &MetadataValue<Ascii>) -> Request<T> {
    let mut request = headers::introduce(message);
    request.metadata_mut().insert("authorization", bearer.clone());
    request
}

async fn call<T>(
    name: &'static str,
    transport: &Transport,
    reply: impl Future<Output = Result<tonic::Response<T>, Status>>,
) -> Result<T, AdoptFailure> {
    call_keeping_headers(name, transport, reply).await.map(tonic::Response::into_inner)
}

async fn call_keeping_headers<T>(
    name: &'static str,
    transport: &Transport,
    reply: impl Future<Output = Result<tonic::Response<T>, Status>>,
) -> Result<tonic::Response<T>, AdoptFailure> {
    match timeout(CALL_MAX, reply).await {
        Ok(Ok(reply)) => Ok(reply),
        Ok(Err(_)) if transport.wire().peer_speaks_tls() => Err(AdoptFailure::AlreadyAdopted),
        Ok(Err(status)) if headers::is_from_peer(&status) => {
            Err(AdoptFailure::Refused { code: status.code(), message: headers::words(&status) })
        }
        Ok(Err(status)) => Err(AdoptFailure::Lost(Box::new(status))),
        Err(_) => Err(AdoptFailure::TimedOut { call: name, limit: CALL_MAX }),
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests;
