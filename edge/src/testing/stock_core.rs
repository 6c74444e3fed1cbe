//! A Core that behaves as a stock one of version 2.0.1: it works on one request after the other, answers what was
//! recorded, is silent where that is, and comes back ten seconds after its stream has ended.

mod recorded;

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use postern_proto::proxy::{
    AwaitRemoteMfaFinishRequest, CoreRequest, InitialInfo, core_request, core_response::Payload,
};
use tokio::{
    sync::{Notify, mpsc},
    task::JoinSet,
    time::sleep,
};

use self::recorded::{Recorded, Verdict};
use super::{Answer, FakeCore, FakeTunnel};

/// Requests that wait for their turn: more than an Edge has in flight.
const QUEUE_MAX: usize = 4_096;

/// How it behaves beyond what is recorded.
#[derive(Debug, Clone, Copy)]
pub struct StockManner {
    /// Between the end of one stream and the next try.
    pub reconnect_after: Duration,
    /// What one request takes; all the others wait for it.
    pub work: fn(&core_request::Payload) -> Duration,
    /// Its database refuses some queries of OpenID, each of which ends the whole stream.
    pub openid_ends_the_stream: bool,
}

impl Default for StockManner {
    fn default() -> Self {
        Self { reconnect_after: Duration::from_secs(10), work: |_| Duration::ZERO, openid_ends_the_stream: false }
    }
}

/// A running one. Dropping it is its end, without a word.
#[derive(Debug)]
pub struct StockCore {
    shared: Arc<Shared>,
    _life: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Shared {
    streams: AtomicUsize,
    answered: AtomicUsize,
    ignored: AtomicUsize,
    lose_stream: Notify,
}

impl StockCore {
    /// Adopts the Edge and keeps a stream open to it.
    ///
    /// # Panics
    /// When the Edge does not let itself be adopted.
    pub async fn start(edge: SocketAddr, manner: StockManner) -> Self {
        let core = FakeCore::stock();
        core.adopt(edge).await.expect("a new edge can be adopted");
        let shared = Arc::new(Shared::default());
        let mut life = JoinSet::new();
        life.spawn(live(core, edge, manner, Arc::clone(&shared)));
        Self { shared, _life: life }
    }

    /// A request as it was recorded under this name; its reply is recorded as well.
    #[must_use]
    pub fn recorded(name: &str) -> CoreRequest {
        Recorded::read().request(name)
    }

    /// Streams that it has opened so far.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.shared.streams.load(Ordering::SeqCst)
    }

    /// Requests that it has answered.
    #[must_use]
    pub fn answered(&self) -> usize {
        self.shared.answered.load(Ordering::SeqCst)
    }

    /// Requests that it will never answer.
    #[must_use]
    pub fn ignored(&self) -> usize {
        self.shared.ignored.load(Ordering::SeqCst)
    }

    /// Its stream breaks, with all that it worked on.
    pub fn lose_stream(&self) {
        self.shared.lose_stream.notify_one();
    }
}

async fn live(core: FakeCore, edge: SocketAddr, manner: StockManner, shared: Arc<Shared>) {
    loop {
        let (requests, queue) = mpsc::channel(QUEUE_MAX);
        let take = move |request: &CoreRequest| {
            // Beyond its queue it would read no more; no test goes there.
            requests.try_send(request.clone()).map_or(Answer::HangUp, |()| Answer::Nothing)
        };
        if let Ok(tunnel) = core.try_connect(edge, Arc::new(take)).await {
            let key = core.session_key().to_vec();
            tunnel.push(Payload::InitialInfo(InitialInfo { private_cookies_key: key })).await;
            shared.streams.fetch_add(1, Ordering::SeqCst);
            let serving = Stream { tunnel: &tunnel, recorded: Recorded::read(), shared: &shared, manner };
            tokio::select! {
                () = serving.run(queue) => {}
                () = shared.lose_stream.notified() => {}
            }
            tunnel.hang_up().await;
        }
        sleep(manner.reconnect_after).await;
    }
}

/// One stream and what it works through.
struct Stream<'a> {
    tunnel: &'a FakeTunnel,
    recorded: Recorded,
    shared: &'a Shared,
    manner: StockManner,
}

impl Stream<'_> {
    /// Until the Edge, or an error, ends it.
    async fn run(self, mut queue: mpsc::Receiver<CoreRequest>) {
        let mut waiting_for_a_phone = HashMap::new();
        while let Some(request) = queue.recv().await {
            let id = request.id;
            if let Some(payload) = &request.payload {
                sleep((self.manner.work)(payload)).await;
            }
            if let Some(core_request::Payload::AwaitRemoteMfaFinish(AwaitRemoteMfaFinishRequest { token })) =
                &request.payload
            {
                // An earlier one that waits for the same is forgotten.
                waiting_for_a_phone.insert(token.clone(), id);
                continue;
            }
            match self.recorded.verdict(&request, self.manner.openid_ends_the_stream) {
                Verdict::Reply(payload) => self.reply(id, payload).await,
                Verdict::Silence => drop(self.shared.ignored.fetch_add(1, Ordering::SeqCst)),
                Verdict::EndOfStream => return,
                Verdict::Approval { token, reply, result } => {
                    self.reply(id, reply).await;
                    if let Some(waiter) = waiting_for_a_phone.remove(&token) {
                        self.reply(waiter, *result).await;
                    }
                }
            }
        }
    }

    async fn reply(&self, id: u64, payload: Payload) {
        if !self.tunnel.has_ended() {
            self.tunnel.reply(id, payload).await;
            self.shared.answered.fetch_add(1, Ordering::SeqCst);
        }
    }
}
