//! The Edge's end of one tunnel, in the hands of a test.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use http::HeaderMap;
use postern_proto::{
    link::{Draining, ProbeReply},
    proxy::{CoreRequest, CoreResponse, core_request, core_response},
};
use prost::Message;
use tokio::{sync::mpsc, task::JoinSet};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Status, Streaming};

use super::Manner;

/// Messages that a test has not read or that are not yet written.
const QUEUE_MAX: usize = 4096;

/// A tunnel that Core opened.
#[derive(Debug)]
pub struct FakeTunnel {
    headers: HeaderMap,
    to_core: mpsc::Sender<Result<Bytes, Status>>,
    from_core: mpsc::Receiver<CoreResponse>,
    cut: CancellationToken,
    _reader: JoinSet<()>,
}

/// Tells how a tunnel is doing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watch {
    ended: CancellationToken,
    draining: Arc<AtomicBool>,
}

impl Watch {
    pub(super) fn is_open(&self) -> bool {
        !self.ended.is_cancelled()
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }
}

impl FakeTunnel {
    pub(super) fn open(
        request: Request<Streaming<Bytes>>,
        manner: Manner,
        cut: CancellationToken,
    ) -> (Self, Watch, impl Stream<Item = Result<Bytes, Status>> + use<>) {
        let headers = request.metadata().clone().into_headers();
        let (to_core, outgoing) = mpsc::channel(QUEUE_MAX);
        let (received, from_core) = mpsc::channel(QUEUE_MAX);
        let watch = Watch::default();
        let answers = (manner != Manner::Mute).then(|| to_core.clone());
        let mut reader = JoinSet::new();
        reader.spawn(read(request.into_inner(), received, answers, watch.clone()));
        let stream = ReceiverStream::new(outgoing).take_until(watch.ended.clone().cancelled_owned());
        (Self { headers, to_core, from_core, cut, _reader: reader }, watch, stream)
    }

    /// What Core said of itself.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Sends a request.
    ///
    /// # Panics
    /// When the tunnel has ended.
    pub async fn send(&self, id: u64, payload: core_request::Payload) {
        self.send_message(CoreRequest { id, payload: Some(payload), ..CoreRequest::default() }).await;
    }

    /// Sends a message as it stands.
    ///
    /// # Panics
    /// When the tunnel has ended.
    pub async fn send_message(&self, message: CoreRequest) {
        self.send_bytes(message.encode_to_vec().into()).await;
    }

    /// Sends bytes that need not be a message.
    ///
    /// # Panics
    /// When the tunnel has ended.
    pub async fn send_bytes(&self, message: Bytes) {
        self.to_core.send(Ok(message)).await.expect("the tunnel is open");
    }

    /// The next message of Core; `None` when it has ended the tunnel. Probes are not shown when
    /// they are answered.
    pub async fn next(&mut self) -> Option<CoreResponse> {
        self.from_core.recv().await
    }

    /// The reply to a request; what comes before it is skipped.
    pub async fn reply(&mut self, id: u64) -> Option<core_response::Payload> {
        loop {
            let message = self.next().await?;
            if message.id == id {
                return message.payload;
            }
        }
    }

    /// Ends the tunnel in order, after saying so.
    pub async fn announce_and_end(self) {
        self.send(0, core_request::Payload::Draining(Draining {})).await;
    }

    /// Cuts the connection.
    pub fn cut(self) {
        self.cut.cancel();
    }
}

async fn read(
    mut messages: Streaming<Bytes>,
    received: mpsc::Sender<CoreResponse>,
    answers: Option<mpsc::Sender<Result<Bytes, Status>>>,
    watch: Watch,
) {
    let _ended = watch.ended.clone().drop_guard();
    while let Ok(Some(bytes)) = messages.message().await {
        let message = CoreResponse::decode(bytes).expect("Core sends messages");
        match (&message.payload, &answers) {
            (Some(core_response::Payload::Probe(probe)), Some(to_core)) => {
                let reply = core_request::Payload::ProbeReply(ProbeReply { sequence: probe.sequence });
                let reply = CoreRequest { id: 0, payload: Some(reply), ..CoreRequest::default() };
                if to_core.send(Ok(reply.encode_to_vec().into())).await.is_err() {
                    return;
                }
                continue;
            }
            (Some(core_response::Payload::Draining(_)), _) => watch.draining.store(true, Ordering::SeqCst),
            _ => {}
        }
        if received.send(message).await.is_err() {
            return;
        }
    }
}
