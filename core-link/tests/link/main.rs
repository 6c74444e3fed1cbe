//! The link against an Edge for tests, over real sockets.

mod adoption;
mod cancelling;
mod ending;
mod hostile;
mod peers;
mod redialling;
mod serving;
mod stock;
mod stock_adoption;
mod web_certificate;

use std::{future::Future, time::Duration};

use postern_core_link::{
    CoreInstance, EdgeId, Greeting, Handler, Limits, LinkState, LinkStatus, Reply, Request, Supervisor,
    SupervisorConfig,
    testing::{FakeEdge, FakeTunnel, Manner},
};
use postern_proto::{
    client_types::{EnrollmentStartRequest, EnrollmentStartResponse},
    link::{SessionKey, SessionKeyRing},
    proxy::{core_request, core_response},
    rejection::Rejection,
};
use tokio::time::{sleep, timeout};
use tonic::Code;

const EDGE: EdgeId = EdgeId(7);

/// Longer than anything here takes; a test that waits for it has failed.
const HANG: Duration = Duration::from_secs(15);

struct Answering<F>(F);

impl<F, R> Handler for Answering<F>
where
    F: Fn(Request) -> R + Send + Sync + 'static,
    R: Future<Output = Reply> + Send,
{
    async fn handle(&self, request: Request) -> Reply {
        self.0(request).await
    }
}

/// Echoes the token, so that replies can be told apart.
async fn echo(request: Request) -> Reply {
    let core_request::Payload::EnrollmentStart(start) = request.payload else {
        return Err(Rejection::new(Code::Unimplemented, "not here"));
    };
    Ok(started(&start.token))
}

fn start(token: &str) -> core_request::Payload {
    core_request::Payload::EnrollmentStart(EnrollmentStartRequest { token: token.to_owned() })
}

fn started(token: &str) -> core_response::Payload {
    core_response::Payload::EnrollmentStart(EnrollmentStartResponse {
        final_page_content: token.to_owned(),
        ..EnrollmentStartResponse::default()
    })
}

fn rejected(code: Code, message: &str) -> Option<core_response::Payload> {
    Some(core_response::Payload::CoreError(Rejection::new(code, message).into()))
}

fn greeting(primary: u8) -> Greeting {
    let keys = vec![SessionKey { id: vec![primary; 8], key: vec![primary; 64] }];
    Greeting::new(SessionKeyRing { epoch: primary.into(), primary_id: vec![primary; 8], keys })
        .expect("the primary is there")
}

fn config() -> SupervisorConfig {
    SupervisorConfig { instance: CoreInstance::random(), greeting: greeting(1), limits: Limits::default() }
}

fn core<F, R>(handler: F) -> Supervisor
where
    F: Fn(Request) -> R + Send + Sync + 'static,
    R: Future<Output = Reply> + Send + 'static,
{
    Supervisor::start(config(), Answering(handler))
}

/// A Core with one tunnel to one Edge.
async fn connected<F, R>(manner: Manner, handler: F) -> (Supervisor, FakeEdge, FakeTunnel)
where
    F: Fn(Request) -> R + Send + Sync + 'static,
    R: Future<Output = Reply> + Send + 'static,
{
    let mut edge = FakeEdge::start(manner).await;
    let core = core(handler);
    core.set_edges(vec![edge.edge(EDGE)]);
    let tunnel = in_time(edge.tunnel()).await;
    status(&core, is_connected).await;
    (core, edge, tunnel)
}

async fn in_time<T>(work: impl Future<Output = T>) -> T {
    timeout(HANG, work).await.expect("this does not hang")
}

/// Waits until the link's status is as wanted.
async fn status(core: &Supervisor, wanted: impl Fn(&LinkStatus) -> bool) -> LinkStatus {
    in_time(async {
        loop {
            if let Some(status) = core.statuses().into_iter().find(|status| wanted(status)) {
                return status;
            }
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await
}

/// Waits until a dial has failed, and says why.
async fn dial_error(core: &Supervisor) -> String {
    let failed = |status: &LinkStatus| error_of(&status.state).is_some();
    let state = status(core, failed).await.state;
    error_of(&state).expect("it was just looked at")
}

fn error_of(state: &LinkState) -> Option<String> {
    match state {
        LinkState::Dialing { last_error, .. } => last_error.clone(),
        LinkState::Incompatible { reason, .. } => Some(reason.clone()),
        LinkState::Connected { .. } => None,
    }
}

fn is_connected(status: &LinkStatus) -> bool {
    matches!(status.state, LinkState::Connected { .. })
}
