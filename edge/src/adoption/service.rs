//! The three calls of the stock flow: Start, GetCsr, SendCert.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use postern_proto::{
    common::{CertBundle, CertificateInfo, DerPayload, LogEntry},
    service::proxy_setup_server::ProxySetup,
};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_stream::Stream;
use tonic::{Request, Response, Status, metadata::MetadataMap};

use super::{
    Adoption, log,
    session::{REQUEST_WITHIN, SessionError, SessionLease, SessionToken},
    signing_request::{self, SigningRequestError},
};
use crate::identity::{Bundle, IdentityError};

#[tonic::async_trait]
impl ProxySetup for Adoption {
    type StartStream = SessionLog;

    async fn start(&self, request: Request<()>) -> Result<Response<SessionLog>, Status> {
        let token = token_of(request.metadata())?;
        self.refuse_outside_window()?;
        let lease = self.shared.sessions.begin(token, log::info("This edge is ready to be adopted"))?;
        tracing::info!("a core began to adopt this edge");
        Ok(Response::new(SessionLog::new(lease)))
    }

    async fn get_csr(&self, request: Request<CertificateInfo>) -> Result<Response<DerPayload>, Status> {
        let token = token_of(request.metadata())?;
        self.refuse_outside_window()?;
        self.shared.sessions.check(&token)?;
        let made = signing_request::make(&request.get_ref().cert_hostname)?;
        self.shared.sessions.keep_key(&token, made.key, log::info("Made a new key and its signing request"))?;
        Ok(Response::new(DerPayload { der_data: made.der }))
    }

    async fn send_cert(&self, request: Request<CertBundle>) -> Result<Response<()>, Status> {
        let token = token_of(request.metadata())?;
        self.refuse_outside_window()?;
        let key = self.shared.sessions.take_key(&token)?;
        let sent = request.into_inner();
        let bundle = Bundle::new(
            CertificateDer::from(sent.component_cert_der),
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            CertificateDer::from(sent.ca_cert_der),
            CertificateDer::from(sent.core_client_cert_der),
        );
        let outcome = self.adopt(bundle).await;
        let last_word = match &outcome {
            Ok(()) => log::info("The identity is stored: this edge is adopted"),
            Err(status) => log::error(status.message()),
        };
        self.shared.sessions.end(&token, last_word);
        outcome.map(Response::new)
    }
}

impl Adoption {
    /// Checks the bundle and stores it; after that this Edge speaks TLS only.
    async fn adopt(&self, bundle: Bundle) -> Result<(), Status> {
        bundle.check().map_err(|error| {
            tracing::warn!(error = &error as &dyn std::error::Error, "refused the certificates of a core");
            Status::invalid_argument(sentence(&error))
        })?;
        let adoption = self.clone();
        // On a thread of its own: it waits for the disk, and a caller that leaves must not cut it short.
        let saved = tokio::task::spawn_blocking(move || adoption.save(&bundle)).await;
        saved.map_err(|_| Status::internal("The identity could not be stored"))?
    }

    fn save(&self, bundle: &Bundle) -> Result<(), Status> {
        let identity = self.shared.identity.save(bundle).map_err(|error| refuse_unsaved(&error))?;
        self.shared.registry.set_adopted(true);
        tracing::info!(ca_sha256 = %identity.authority(), "adopted");
        Ok(())
    }

    fn refuse_outside_window(&self) -> Result<(), Status> {
        if self.is_open() {
            return Ok(());
        }
        Err(Status::failed_precondition(
            "The adoption window of this edge has ended; restart the edge to open it again",
        ))
    }
}

/// The log of one session. Open until Core leaves it, or until nothing followed Start for a minute.
pub(crate) struct SessionLog {
    lease: SessionLease,
    request_by: Pin<Box<Sleep>>,
}

impl SessionLog {
    fn new(lease: SessionLease) -> Self {
        Self { lease, request_by: Box::pin(sleep_until(Instant::now() + REQUEST_WITHIN)) }
    }

    fn is_overdue(&mut self, cx: &mut Context<'_>) -> bool {
        !self.lease.is_used() && self.request_by.as_mut().poll(cx).is_ready()
    }
}

impl Stream for SessionLog {
    type Item = Result<LogEntry, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Poll::Ready(Some(entry)) = self.lease.log.poll_recv(cx) {
            return Poll::Ready(Some(Ok(entry)));
        }
        // A session that has ended keeps the stream open: Core leaves when it has read enough.
        if self.is_overdue(cx) {
            return Poll::Ready(Some(Err(Status::deadline_exceeded("No signing request followed Start"))));
        }
        Poll::Pending
    }
}

impl From<SessionError> for Status {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Busy => Self::resource_exhausted(error.to_string()),
            SessionError::WrongToken => Self::unauthenticated(error.to_string()),
            SessionError::NoKey => Self::internal(error.to_string()),
        }
    }
}

impl From<SigningRequestError> for Status {
    fn from(error: SigningRequestError) -> Self {
        match error {
            SigningRequestError::HostName => Self::invalid_argument(error.to_string()),
            SigningRequestError::Generate(_) => Self::internal(error.to_string()),
        }
    }
}

fn token_of(metadata: &MetadataMap) -> Result<SessionToken, Status> {
    let value = metadata.get("authorization").and_then(|value| value.to_str().ok());
    match value.and_then(|value| value.strip_prefix("Bearer ")) {
        Some(token) if !token.is_empty() => Ok(SessionToken::new(token)),
        Some(_) | None => Err(Status::unauthenticated("Missing or invalid authorization token")),
    }
}

fn refuse_unsaved(error: &IdentityError) -> Status {
    let cause = error as &dyn std::error::Error;
    match error {
        IdentityError::OtherAuthority { .. } => {
            tracing::warn!(error = cause, "refused adoption by another ca");
            Status::permission_denied(
                "This edge was adopted by another CA before; run `postern-edge reset` on it and restart it",
            )
        }
        IdentityError::AlreadyAdopted => Status::failed_precondition("This edge has been adopted already"),
        IdentityError::Folder { .. }
        | IdentityError::Read { .. }
        | IdentityError::Write { .. }
        | IdentityError::ReadableByOthers { .. }
        | IdentityError::Incomplete { .. }
        | IdentityError::Unusable { .. } => {
            tracing::error!(error = cause, "cannot store the identity");
            Status::internal("The identity could not be stored; see the log of the edge")
        }
    }
}

/// The error with its causes, for the administrator who reads it in Core.
fn sentence(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
