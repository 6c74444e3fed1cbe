//! What the Core that adopted us may call: a tunnel, Purge, and an order for a web certificate.

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

use super::{OUTGOING_CAPACITY, connection::Tasks, order, registry::TunnelRegistry, stream::TunnelStream};
use crate::{
    acme::{Acme, EVENTS_MAX},
    adoption::Adoption,
    certificate::Certificates,
};

type Outgoing<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The tunnel side of one TLS connection.
#[derive(Debug)]
pub(super) struct TunnelService {
    pub(super) registry: TunnelRegistry,
    pub(super) adoption: Adoption,
    pub(super) acme: Acme,
    pub(super) certificates: Certificates,
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
        let stream = TunnelStream::new(request.into_inner(), outgoing, lease, self.certificates.clone());
        self.tasks.add(stream.serve());
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

    /// Answers at once, and then tells how far the order is. It ends with the connection.
    async fn trigger_acme(&self, request: Request<AcmeChallenge>) -> Result<Response<Self::TriggerAcmeStream>, Status> {
        let AcmeChallenge { domain, account_credentials_json } = request.into_inner();
        let order = self.acme.order(&domain, &account_credentials_json).map_err(|error| order::refuse(&error))?;
        let (events, queued) = mpsc::channel(EVENTS_MAX);
        self.tasks.add(order.run(events));
        Ok(Response::new(Box::pin(order::on_the_wire(ReceiverStream::new(queued)))))
    }
}
