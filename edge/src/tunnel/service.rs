//! What the Core that adopted us may call: a tunnel, Purge, and later a certificate order.

use std::pin::Pin;

use bytes::Bytes;
use postern_proto::{
    limits::MESSAGE_MAX,
    proxy::{AcmeChallenge, AcmeIssueEvent},
    service::proxy_server::{Proxy, ProxyServer},
    version::Peer,
};
use tokio::sync::mpsc;
use tokio_stream::{Stream, StreamExt as _, wrappers::ReceiverStream};
use tonic::{Request, Response, Status, Streaming};

use super::{OUTGOING_CAPACITY, connection::Tasks, registry::TunnelRegistry, stream::TunnelStream};
use crate::adoption::Adoption;

type Outgoing<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The tunnel side of one TLS connection.
#[derive(Debug)]
pub(super) struct TunnelService {
    pub(super) registry: TunnelRegistry,
    pub(super) adoption: Adoption,
    pub(super) tasks: Tasks,
}

impl TunnelService {
    pub(super) fn into_server(self) -> ProxyServer<Self> {
        ProxyServer::new(self).max_decoding_message_size(MESSAGE_MAX)
    }
}

#[tonic::async_trait]
impl Proxy for TunnelService {
    type BidiStream = Outgoing<Bytes>;
    type TriggerAcmeStream = Outgoing<AcmeIssueEvent>;

    /// Answers at once: Core waits for the headers without a deadline.
    async fn bidi(&self, request: Request<Streaming<Bytes>>) -> Result<Response<Self::BidiStream>, Status> {
        let peer = request.extensions().get::<Peer>().cloned();
        let peer = peer.ok_or_else(|| Status::internal("the caller was not checked"))?;
        let (outgoing, queued) = mpsc::channel(OUTGOING_CAPACITY);
        let lease = self.registry.insert(&peer, outgoing.downgrade());
        self.tasks.add(TunnelStream::new(request.into_inner(), outgoing, lease).serve());
        Ok(Response::new(Box::pin(ReceiverStream::new(queued).map(Ok))))
    }

    /// Core lets go of this Edge: back to adoption, by the same CA only.
    async fn purge(&self, _: Request<()>) -> Result<Response<()>, Status> {
        let adoption = self.adoption.clone();
        // On a thread of its own: a caller that leaves must not cut it short.
        let purged = tokio::task::spawn_blocking(move || adoption.purge()).await;
        let purged = purged.map_err(|_| Status::internal("The identity could not be deleted"))?;
        purged.map(Response::new).map_err(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "cannot delete the identity");
            Status::internal("The identity could not be deleted; see the log of the edge")
        })
    }

    async fn trigger_acme(&self, _: Request<AcmeChallenge>) -> Result<Response<Self::TriggerAcmeStream>, Status> {
        Err(Status::unimplemented("This edge does not order certificates: give NGINX its certificate instead"))
    }
}
