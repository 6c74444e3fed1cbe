//! Opens a tunnel to one Edge, within one deadline.
//!
//! The Edge must show the certificate that was pinned at its adoption, signed by the authority of
//! that time and valid for the host that was dialled. Nothing is retried here.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use postern_proto::{service::ProxyClient, version::Peer};
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use crate::{
    edge::{Edge, EdgeAddress},
    error::DialError,
    headers,
    instance::CoreInstance,
    surroundings::{Connect, Io, Tcp},
    transport::{Channel, Transport, TransportError},
    tunnel::outgoing::Outgoing,
};

pub(crate) mod tls;

/// From the first packet to the Edge's answer to our stream. A host that accepts connections but
/// whose Edge hangs costs this much.
pub(crate) const DIAL_MAX: Duration = Duration::from_secs(3);

/// Messages to the Edge that are not yet written. Replies are small, and at most as many as there
/// are requests in flight; an Edge that reads nothing makes them wait.
const OUTGOING_MAX: usize = 1024;

/// The two directions of a fresh tunnel.
pub(crate) struct Dialed {
    pub(crate) peer: Peer,
    pub(crate) transport: Transport,
    pub(crate) client: ProxyClient<Channel>,
    pub(crate) inbound: Streaming<Bytes>,
    pub(crate) outgoing: mpsc::Sender<Bytes>,
    /// Cancelled: what is queued is sent, then the stream to the Edge ends.
    pub(crate) ended: CancellationToken,
}

pub(crate) async fn dial(edge: &Edge, core: &CoreInstance, network: &dyn Connect) -> Result<Dialed, DialError> {
    timeout(DIAL_MAX, open(edge, core, network))
        .await
        .unwrap_or_else(|_| Err(DialError::TimedOut { address: edge.address.clone(), limit: DIAL_MAX }))
}

async fn open(edge: &Edge, core: &CoreInstance, network: &dyn Connect) -> Result<Dialed, DialError> {
    let stream = connect_tls(edge, network).await?;
    introduce(stream, &edge.address, core).await
}

/// A connection on which nothing was called yet.
pub(crate) async fn connect(edge: &Edge) -> Result<(Transport, ProxyClient<Channel>), DialError> {
    speak(connect_tls(edge, &Tcp).await?, &edge.address).await
}

/// Opens the tunnel over a connection.
pub(crate) async fn introduce<IO>(io: IO, address: &EdgeAddress, core: &CoreInstance) -> Result<Dialed, DialError>
where
    IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (transport, mut client) = speak(io, address).await?;
    let (outgoing, queue) = mpsc::channel(OUTGOING_MAX);
    let ended = CancellationToken::new();
    let stream = Outgoing::new(queue, ended.clone());
    let reply = match client.bidi(headers::introduce_link(stream, core)).await {
        Ok(reply) => reply,
        Err(status) => return Err(refusal(address, &transport, status)),
    };
    let peer = Peer::parse(reply.metadata().as_ref())
        .map_err(|source| DialError::Version { address: address.clone(), source })?;
    Ok(Dialed { peer, transport, client, inbound: reply.into_inner(), outgoing, ended })
}

async fn speak<IO>(io: IO, address: &EdgeAddress) -> Result<(Transport, ProxyClient<Channel>), DialError>
where
    IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let closed = |source: TransportError| DialError::Closed { address: address.clone(), source: Box::new(source) };
    let transport = Transport::open(io).await.map_err(closed)?;
    let client = ProxyClient::with_origin(transport.channel(), headers::origin("https", address));
    Ok((transport, client))
}

async fn connect_tls(edge: &Edge, network: &dyn Connect) -> Result<TlsStream<Box<dyn Io>>, DialError> {
    let address = &edge.address;
    let config =
        tls::config(&edge.trust).map_err(|source| DialError::OwnIdentity { address: address.clone(), source })?;
    let name = ServerName::try_from(address.host().to_owned()).expect("an EdgeAddress holds a valid name");
    let stream =
        network.connect(address).await.map_err(|source| DialError::Connect { address: address.clone(), source })?;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|error| tls::dial_error(address, error))
}

/// The Edge's own words if it said something, else what happened to the connection.
pub(crate) fn refusal(address: &EdgeAddress, transport: &Transport, status: Status) -> DialError {
    let address = address.clone();
    if let Some(source) = transport.wire().tls_error() {
        DialError::Tls { address, source: source.clone() }
    } else if headers::is_from_peer(&status) {
        DialError::Refused { address, code: status.code(), message: headers::words(&status) }
    } else {
        DialError::Closed { address, source: Box::new(status) }
    }
}
