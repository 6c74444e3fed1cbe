//! Core's end of one tunnel.

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use bytes::{BufMut as _, Bytes, BytesMut};
use postern_proto::{
    link::ProbeReply,
    proxy::{CoreRequest, CoreResponse, core_request, core_response::Payload},
    service::ProxyClient,
};
use prost::Message as _;
use tokio::{sync::mpsc, task::JoinSet};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Status, Streaming, metadata::MetadataMap, transport::Channel};

use super::{Answer, Answers, eventually};

/// More than an Edge has in flight.
const OUTGOING_CAPACITY: usize = 4_096;
/// How many of the latest requests are kept for a test to look at.
const KEPT: usize = 64;

/// An open tunnel. Dropping it hangs up.
pub struct FakeTunnel {
    outgoing: mpsc::Sender<Bytes>,
    seen: Arc<Seen>,
    client: ProxyClient<Channel>,
    /// The headers of the reply to Bidi.
    pub headers: MetadataMap,
    reading: JoinSet<()>,
}

#[derive(Default)]
struct Seen {
    requests: AtomicUsize,
    latest: Mutex<VecDeque<CoreRequest>>,
    probes: AtomicUsize,
    probe_replies: AtomicUsize,
    mute: AtomicBool,
    goodbyes: AtomicUsize,
    cancelled: Mutex<Vec<u64>>,
    ended: AtomicBool,
}

impl fmt::Debug for FakeTunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeTunnel").finish_non_exhaustive()
    }
}

impl FakeTunnel {
    pub(super) async fn open(
        mut client: ProxyClient<Channel>,
        headers: MetadataMap,
        answers: Answers,
    ) -> Result<Self, Status> {
        let (outgoing, queued) = mpsc::channel(OUTGOING_CAPACITY);
        let mut request = Request::new(ReceiverStream::new(queued));
        *request.metadata_mut() = headers;
        let response = client.bidi(request).await?;
        let headers = response.metadata().clone();
        let seen = Arc::new(Seen::default());
        let reader = Reader { outgoing: outgoing.clone(), seen: Arc::clone(&seen), answers };
        let mut reading = JoinSet::new();
        reading.spawn(reader.read(response.into_inner()));
        Ok(Self { outgoing, seen, client, headers, reading })
    }

    /// Sends something unasked.
    pub async fn push(&self, payload: Payload) {
        self.reply(0, payload).await;
    }

    /// Sends a reply, however late.
    pub async fn reply(&self, id: u64, payload: Payload) {
        self.send(encode(id, payload)).await;
    }

    /// Sends these bytes as one message.
    pub async fn send(&self, message: Bytes) {
        self.outgoing.send(message).await.expect("the tunnel is up");
    }

    /// Waits until so many requests were seen, and returns the latest ones, oldest first.
    pub async fn requests(&self, count: usize) -> Vec<CoreRequest> {
        eventually("requests reach core", || self.seen.requests.load(Ordering::SeqCst) >= count).await;
        self.seen.latest().iter().cloned().collect()
    }

    /// How many requests came.
    #[must_use]
    pub fn request_count(&self) -> usize {
        self.seen.requests.load(Ordering::SeqCst)
    }

    /// How many probes came.
    #[must_use]
    pub fn probe_count(&self) -> usize {
        self.seen.probes.load(Ordering::SeqCst)
    }

    /// How many of our own probes were answered.
    #[must_use]
    pub fn probe_reply_count(&self) -> usize {
        self.seen.probe_replies.load(Ordering::SeqCst)
    }

    /// Ids of requests for whose reply nobody waits any more, as the Edge said.
    #[must_use]
    pub fn cancelled(&self) -> Vec<u64> {
        self.seen.cancelled.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The Edge said that it leaves.
    #[must_use]
    pub fn was_told_goodbye(&self) -> bool {
        self.seen.goodbyes.load(Ordering::SeqCst) > 0
    }

    /// The Edge ended the tunnel.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.seen.ended.load(Ordering::SeqCst)
    }

    /// Stops answering anything, probes included; the connection stays up.
    pub fn mute(&self) {
        self.seen.mute.store(true, Ordering::SeqCst);
    }

    /// Purge on this connection, while the tunnel is open.
    ///
    /// # Errors
    /// What the Edge answers.
    pub async fn purge(&self) -> Result<(), Status> {
        let mut request = Request::new(());
        *request.metadata_mut() = super::introduction();
        self.client.clone().purge(request).await.map(|_| ())
    }

    /// Ends the tunnel without a word.
    pub async fn hang_up(mut self) {
        self.reading.shutdown().await;
    }
}

struct Reader {
    outgoing: mpsc::Sender<Bytes>,
    seen: Arc<Seen>,
    answers: Answers,
}

impl Reader {
    async fn read(self, mut incoming: Streaming<Bytes>) {
        while let Ok(Some(message)) = incoming.message().await {
            let request = CoreRequest::decode(message).expect("an edge sends whole messages");
            if self.seen.mute.load(Ordering::SeqCst) {
                self.seen.count_probe(&request);
                continue;
            }
            if !self.take(request).await {
                break;
            }
        }
        self.seen.ended.store(true, Ordering::SeqCst);
    }

    /// False when the tunnel is to end.
    async fn take(&self, request: CoreRequest) -> bool {
        match &request.payload {
            Some(core_request::Payload::Probe(probe)) => {
                self.seen.count_probe(&request);
                return self.send(encode(0, Payload::ProbeReply(ProbeReply { sequence: probe.sequence }))).await;
            }
            Some(core_request::Payload::ProbeReply(_)) => {
                self.seen.probe_replies.fetch_add(1, Ordering::SeqCst);
                return true;
            }
            Some(core_request::Payload::Draining(_)) => {
                self.seen.goodbyes.fetch_add(1, Ordering::SeqCst);
                return true;
            }
            Some(core_request::Payload::Cancel(cancel)) => {
                self.seen.cancelled.lock().unwrap_or_else(PoisonError::into_inner).push(cancel.request_id);
                return true;
            }
            _ => {}
        }
        let id = request.id;
        let answer = (self.answers)(&request);
        self.seen.keep(request);
        self.answer(id, answer).await
    }

    async fn answer(&self, id: u64, answer: Answer) -> bool {
        match answer {
            Answer::Reply(payload) => self.send(encode(id, payload)).await,
            Answer::Reject(rejection) => self.send(encode(id, Payload::CoreError(rejection.into()))).await,
            Answer::Nothing => true,
            Answer::Twice(payload) => {
                let message = encode(id, payload);
                self.send(message.clone()).await && self.send(message).await
            }
            Answer::Garbage => self.send(garbage(id)).await,
            Answer::Raw(message) => self.send(message).await,
            Answer::HangUp => false,
        }
    }

    async fn send(&self, message: Bytes) -> bool {
        self.outgoing.send(message).await.is_ok()
    }
}

impl Seen {
    fn count_probe(&self, request: &CoreRequest) {
        if matches!(request.payload, Some(core_request::Payload::Probe(_))) {
            self.probes.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn keep(&self, request: CoreRequest) {
        let mut latest = self.latest();
        if latest.len() == KEPT {
            latest.pop_front();
        }
        latest.push_back(request);
        self.requests.fetch_add(1, Ordering::SeqCst);
    }

    fn latest(&self) -> MutexGuard<'_, VecDeque<CoreRequest>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn encode(id: u64, payload: Payload) -> Bytes {
    CoreResponse { id, payload: Some(payload) }.encode_to_vec().into()
}

/// Field 2 claims more bytes than there are.
fn garbage(id: u64) -> Bytes {
    let mut message = BytesMut::new();
    prost::encoding::uint64::encode(1, &id, &mut message);
    message.put_slice(&[0x12, 0x7f, 0x01]);
    message.freeze()
}
