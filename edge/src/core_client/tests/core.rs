//! Core's end of a tunnel without a socket.

use std::time::Duration;

use bytes::Bytes;
use postern_proto::{
    client_types::{ActivateUserRequest, InstanceInfoRequest, InstanceInfoResponse},
    link::Cancel,
    proxy::{CoreRequest, CoreResponse, DeviceInfo, core_request, core_response::Payload},
    rejection::{Code, Rejection},
    rpc::Rpc,
    version::{PEER_MIN, Peer, Zone},
};
use prost::Message as _;
use tokio::{
    sync::mpsc::{self, error::TryRecvError},
    task::JoinSet,
    time::Instant,
};

use crate::{
    core_client::{CallContext, CallError, CoreClient, OperationId},
    tunnel::{
        Meter,
        registry::{Lease, TunnelRegistry},
    },
};

pub(super) const BUDGET: Duration = Duration::from_secs(4);
/// What [`PipeCore::rest`] says of one that was left alone.
pub(super) const NOTHING: (Vec<u64>, Vec<u64>) = (Vec::new(), Vec::new());

/// Dropping it ends the tunnel.
pub(super) struct PipeCore {
    lease: Lease,
    outgoing: Option<mpsc::Sender<Bytes>>,
    queued: mpsc::Receiver<Bytes>,
    meter: Meter,
}

impl PipeCore {
    /// One of ours.
    pub(super) fn ours(registry: &TunnelRegistry, instance: &str) -> Self {
        Self::connect(registry, &peer(Some(instance)), 4_096)
    }

    pub(super) fn stock(registry: &TunnelRegistry) -> Self {
        Self::connect(registry, &peer(None), 4_096)
    }

    pub(super) fn connect(registry: &TunnelRegistry, peer: &Peer, capacity: usize) -> Self {
        let (outgoing, queued) = mpsc::channel(capacity);
        let lease = registry.insert(peer, outgoing.downgrade());
        Self { lease, outgoing: Some(outgoing), queued, meter: Meter::default() }
    }

    /// The next request, whenever it comes.
    pub(super) async fn request(&mut self) -> CoreRequest {
        loop {
            let message = self.queued.recv().await.expect("the tunnel is up");
            let request = CoreRequest::decode(message).expect("an edge sends whole messages");
            if request.id != 0 {
                return request;
            }
        }
    }

    /// What has come by now and was not read: ids of requests, and of requests that were called off.
    pub(super) fn rest(&mut self) -> (Vec<u64>, Vec<u64>) {
        let (mut asked, mut cancelled) = (Vec::new(), Vec::new());
        while let Some(message) = self.try_next() {
            match message.payload {
                Some(core_request::Payload::Cancel(Cancel { request_id })) => cancelled.push(request_id),
                _ => asked.push(message.id),
            }
        }
        (asked, cancelled)
    }

    pub(super) fn try_next(&mut self) -> Option<CoreRequest> {
        match self.queued.try_recv() {
            Ok(message) => Some(CoreRequest::decode(message).expect("an edge sends whole messages")),
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => None,
        }
    }

    /// False when nobody waits for it.
    pub(super) fn reply(&mut self, id: u64, payload: Payload) -> bool {
        let message = CoreResponse { id, payload: Some(payload) }.encode_to_vec();
        self.lease.tunnel().take_reply((id, message.into()), &mut self.meter, Instant::now()).is_some()
    }

    pub(super) fn reject(&mut self, id: u64, code: Code) -> bool {
        self.reply(id, Payload::CoreError(Rejection::new(code, "no").into()))
    }

    /// Nothing was heard for a while; seen anew at each check.
    pub(super) fn fall_silent(&self) {
        self.lease.tunnel().set_silent(true);
        self.lease.tunnel().tell_silence();
    }

    /// The stream has ended, and the registry does not know yet.
    pub(super) fn break_off(&mut self) {
        self.outgoing = None;
    }
}

pub(super) fn peer(instance: Option<&str>) -> Peer {
    let instance = instance.map(str::to_owned);
    Peer { version: PEER_MIN, speaks_link: instance.is_some(), instance, zone: None }
}

/// A registry, and a client of it.
pub(super) fn edge() -> (TunnelRegistry, CoreClient) {
    let registry = TunnelRegistry::new(Default::default());
    (registry.clone(), CoreClient::new(registry))
}

pub(super) fn edge_in_zone(name: &str) -> (TunnelRegistry, CoreClient) {
    let registry = TunnelRegistry::in_zone(Default::default(), zone(name));
    (registry.clone(), CoreClient::new(registry))
}

pub(super) fn zone(name: &str) -> Option<Zone> {
    Some(name.parse().unwrap())
}

pub(super) fn context() -> CallContext {
    CallContext {
        device_info: DeviceInfo { ip_address: "192.0.2.1".to_owned(), ..DeviceInfo::default() },
        operation_id: OperationId::random(),
        deadline: Instant::now() + BUDGET,
    }
}

/// A call under way.
pub(super) struct Call<T>(JoinSet<Result<T, CallError>>);

impl<T: 'static> Call<T> {
    pub(super) async fn outcome(mut self) -> Result<T, CallError> {
        self.0.join_next().await.expect("one task").expect("it does not panic")
    }

    /// The caller goes away.
    pub(super) async fn leave(mut self) {
        self.0.shutdown().await;
    }
}

/// Only reads.
pub(super) fn poll(client: &CoreClient) -> Call<InstanceInfoResponse> {
    start(client, InstanceInfoRequest { token: "polling".to_owned() })
}

/// Takes effect.
pub(super) fn activate(client: &CoreClient) -> Call<()> {
    start(client, ActivateUserRequest::default())
}

pub(super) fn start<R: Rpc + Send + 'static>(client: &CoreClient, request: R) -> Call<R::Reply>
where
    R::Reply: Send,
{
    let client = client.clone();
    Call(JoinSet::from_iter([async move { client.call(request, context()).await }]))
}

pub(super) fn polled() -> Payload {
    Payload::InstanceInfo(InstanceInfoResponse::default())
}

pub(super) fn activated() -> Payload {
    Payload::Empty(())
}

pub(super) fn operation(request: &CoreRequest) -> &str {
    &request.context.as_ref().expect("core speaks link").operation_id
}

/// Whichever core was chosen becomes the first.
pub(super) async fn next(first: &mut PipeCore, second: &mut PipeCore) -> CoreRequest {
    let (request, was_second) = tokio::select! {
        request = first.request() => (request, false),
        request = second.request() => (request, true),
    };
    if was_second {
        std::mem::swap(first, second);
    }
    request
}

pub(super) fn refused(code: Code) -> CallError {
    CallError::Rejected(Rejection::new(code, "no"))
}
