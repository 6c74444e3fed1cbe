//! Its service: one tunnel, pushes, requests that wait five seconds, and the other two calls.

use std::{pin::Pin, sync::Arc};

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use http::HeaderMap;
use postern_proto::{
    limits::SESSION_KEY_LENGTH,
    proxy::{
        AcmeCertificate, AcmeChallenge, AcmeIssueEvent, AcmeLogs, AcmeProgress, AcmeStep, CoreRequest, CoreResponse,
        DeviceInfo, HttpsCerts, InitialInfo, acme_issue_event, core_request,
        core_response::{self, Payload},
    },
    service::proxy_server::{Proxy, ProxyServer},
};
use prost::Message as _;
use rustls_pki_types::CertificateDer;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{
    interceptors::{self, check_version},
    state::{AcmeScript, Pushed, Shared},
};
use crate::testing::Io;

/// Requests that are not yet written.
const QUEUE_MAX: usize = 4096;

/// What its HTTP side would say instead of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unanswered {
    /// 503: it has no cookie key.
    NotReady,
    /// 500: no Core is connected.
    NotConnected,
    /// 500: five seconds went by, or the tunnel was lost.
    NoReply,
}

pub(super) async fn serve(io: impl Io, shown: Option<CertificateDer<'static>>, shared: Arc<Shared>) {
    let service = ProxyServer::new(Runtime { shared: Arc::clone(&shared) });
    let admit = move |shared: &Shared, headers: &HeaderMap| {
        check_serial(shared, shown.as_ref())?;
        check_version(headers)
    };
    interceptors::serve(io, service, shared, admit).await;
}

/// On every call: the certificate is the one of the adoption.
fn check_serial(shared: &Shared, shown: Option<&CertificateDer<'_>>) -> Result<(), Status> {
    let shown = shown.ok_or_else(|| Status::unauthenticated("Missing client certificate"))?;
    let invalid = || Status::unauthenticated("Invalid client certificate");
    let serial = |der| X509Certificate::from_der(der).map(|(_, parsed)| parsed.raw_serial().to_vec());
    let pinned = shared.with(|state| state.identity.as_ref().map(|known| known.core_client_cert.clone()));
    let pinned = pinned.ok_or_else(invalid)?;
    if serial(shown).map_err(|_| invalid())? == serial(&pinned).map_err(|_| invalid())? {
        Ok(())
    } else {
        Err(Status::unauthenticated("Client certificate serial mismatch"))
    }
}

/// Asks Core, and forgets the question when the time is over.
pub(super) async fn request(shared: Arc<Shared>, payload: core_request::Payload) -> Result<Payload, Unanswered> {
    let (answer, answered) = oneshot::channel();
    let (id, tunnel) = shared.with(|state| {
        state.cookie_key.as_ref().ok_or(Unanswered::NotReady)?;
        let tunnel = state.tunnel.clone().ok_or(Unanswered::NotConnected)?;
        state.last_id += 1;
        state.waiting.insert(state.last_id, answer);
        Ok((state.last_id, tunnel))
    })?;
    let device_info = DeviceInfo { ip_address: "192.0.2.7".to_owned(), ..DeviceInfo::default() };
    let request = CoreRequest { id, device_info: Some(device_info), payload: Some(payload), ..CoreRequest::default() };
    tunnel.send(Ok(request.encode_to_vec().into())).await.map_err(|_| Unanswered::NotConnected)?;
    let reply = timeout(shared.settings.patience, answered).await;
    shared.with(|state| state.waiting.remove(&id));
    reply.ok().and_then(Result::ok).ok_or(Unanswered::NoReply)
}

struct Runtime {
    shared: Arc<Shared>,
}

type Replies<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Proxy for Runtime {
    type BidiStream = Replies<Bytes>;
    type TriggerAcmeStream = Replies<AcmeIssueEvent>;

    async fn bidi(&self, request: Request<Streaming<Bytes>>) -> Result<Response<Self::BidiStream>, Status> {
        let (tunnel, outgoing) = mpsc::channel(QUEUE_MAX);
        let held = tunnel.clone();
        self.shared.with(|state| state.tunnel = Some(tunnel.clone()));
        let mut reader = JoinSet::new();
        reader.spawn(read(request.into_inner(), Arc::clone(&self.shared), tunnel));
        // Its half never ends by itself; what reads Core's half lives as long.
        let stream = ReceiverStream::new(outgoing).map(move |message| {
            let _held = (&reader, &held);
            message
        });
        Ok(Response::new(Box::pin(stream)))
    }

    async fn purge(&self, _: Request<()>) -> Result<Response<()>, Status> {
        self.shared.forget();
        Ok(Response::new(()))
    }

    async fn trigger_acme(&self, request: Request<AcmeChallenge>) -> Result<Response<Self::TriggerAcmeStream>, Status> {
        let script = self.shared.with(|state| {
            state.acme_orders.push(request.into_inner());
            state.acme.clone()
        });
        Ok(Response::new(play(script)))
    }
}

/// Until Core ends the tunnel, or sends a key that is too short for it.
async fn read(mut messages: Streaming<Bytes>, shared: Arc<Shared>, tunnel: mpsc::Sender<Result<Bytes, Status>>) {
    while let Ok(Some(bytes)) = messages.message().await {
        let Ok(message) = CoreResponse::decode(bytes) else { break };
        if !take(&shared, message) {
            break;
        }
    }
    shared.with(|state| {
        state.tunnel.take_if(|current| current.same_channel(&tunnel));
    });
}

/// False when its stream task has panicked.
fn take(shared: &Shared, CoreResponse { id, payload }: CoreResponse) -> bool {
    shared.with(|state| match payload {
        Some(Payload::InitialInfo(InitialInfo { private_cookies_key })) => {
            if private_cookies_key.len() < SESSION_KEY_LENGTH {
                return false;
            }
            state.cookie_key = Some(private_cookies_key);
            state.pushed.push(Pushed::InitialInfo);
            true
        }
        Some(Payload::HttpsCerts(HttpsCerts { cert_pem, key_pem })) => {
            state.pushed.push(Pushed::HttpsCerts(cert_pem, key_pem));
            true
        }
        Some(Payload::ClearHttpsCerts(())) => {
            state.pushed.push(Pushed::ClearHttpsCerts);
            true
        }
        payload if id == 0 || payload.is_none() || is_ours(payload.as_ref()) => {
            state.pushed.push(Pushed::Unknown);
            true
        }
        Some(reply) => {
            match state.waiting.remove(&id) {
                // Whoever asked may be gone.
                Some(waiter) => drop(waiter.send(reply)),
                None => state.late_replies += 1,
            }
            true
        }
        None => true,
    })
}

fn is_ours(payload: Option<&core_response::Payload>) -> bool {
    matches!(
        payload,
        Some(Payload::Probe(_) | Payload::ProbeReply(_) | Payload::Draining(_) | Payload::SessionKeyRing(_))
    )
}

fn play(script: AcmeScript) -> Replies<AcmeIssueEvent> {
    let event = |payload| Ok(AcmeIssueEvent { payload: Some(payload) });
    let step = |step: AcmeStep| event(acme_issue_event::Payload::Progress(AcmeProgress { step: step.into() }));
    let begun = vec![step(AcmeStep::CheckingDomain), step(AcmeStep::Connecting)];
    let rest = match script {
        AcmeScript::Issues(cert_pem, key_pem, account_credentials_json) => {
            let issued = AcmeCertificate { cert_pem, key_pem, account_credentials_json };
            vec![
                step(AcmeStep::ValidatingDomain),
                step(AcmeStep::IssuingCertificate),
                event(acme_issue_event::Payload::Certificate(issued)),
            ]
        }
        AcmeScript::Fails(lines, code, text) => {
            vec![event(acme_issue_event::Payload::Logs(AcmeLogs { lines })), Err(Status::new(code, text))]
        }
        AcmeScript::EndsEmpty => Vec::new(),
        AcmeScript::EmptyEvent => vec![Ok(AcmeIssueEvent { payload: None })],
    };
    Box::pin(futures::stream::iter(begun.into_iter().chain(rest)))
}
