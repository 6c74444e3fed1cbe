//! Has an Edge order a certificate from an ACME authority, over a connection of its own.
//!
//! The Edge answers the authority's challenge, because its port 80 is the one that the domain leads to. What comes
//! back is stored and sent to all Edges by the caller; the Edge keeps nothing.

use std::{fmt, time::Duration};

use postern_proto::proxy::{
    AcmeCertificate, AcmeChallenge, AcmeIssueEvent, AcmeProgress, AcmeStep, acme_issue_event::Payload,
};
use tokio::time::timeout;
use tonic::{Code, Status, Streaming};

use crate::{
    dialer::{self, DIAL_MAX},
    edge::{Edge, EdgeAddress},
    error::DialError,
    headers,
};

/// For a whole order. Authorities take seconds; a name server may take minutes.
const ORDER_MAX: Duration = Duration::from_secs(300);
/// A sentence of an Edge that fails is worth reading; a thousand are not.
const LOG_MAX: usize = 50;

/// What to order.
#[derive(Clone, PartialEq, Eq)]
pub struct CertificateOrder {
    /// The name that the certificate is to be for.
    pub domain: String,
    /// Credentials from an earlier [`IssuedCertificate`]; without them an account is made.
    pub account: Option<String>,
}

/// What was issued. All of it is secret but the certificate.
#[derive(Clone, PartialEq, Eq)]
pub struct IssuedCertificate {
    /// The chain, the domain's certificate first.
    pub cert_pem: String,
    /// Its key.
    pub key_pem: String,
    /// Credentials of the account, for the next order.
    pub account: String,
}

/// How far an order is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderStep {
    /// Looks whether the domain leads to it.
    CheckingDomain,
    /// Speaks to the authority.
    Connecting,
    /// Answers its challenge.
    ValidatingDomain,
    /// Waits for the certificate.
    IssuingCertificate,
}

/// Why no certificate was issued.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// There is no connection to the Edge.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The Edge, or the authority behind it, said no.
    #[error("{address} issued no certificate ({code:?}): {message}")]
    Refused {
        /// The Edge.
        address: EdgeAddress,
        /// Its reason, for programs.
        code: Code,
        /// Its reason, for people.
        message: String,
        /// What it said besides, oldest first.
        log: Vec<String>,
    },
    /// The connection ended on the way.
    #[error("the connection to {address} was lost before a certificate was issued")]
    Lost {
        /// The Edge.
        address: EdgeAddress,
        /// How.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The Edge ended the order with neither a certificate nor a reason.
    #[error("{address} ended the order without a certificate")]
    NoCertificate {
        /// The Edge.
        address: EdgeAddress,
    },
    /// It takes too long.
    #[error("{address} issued no certificate within {limit:?}")]
    TimedOut {
        /// The Edge.
        address: EdgeAddress,
        /// How long was waited.
        limit: Duration,
    },
}

/// Orders a certificate through this Edge, within five minutes. No tunnel is needed. `progress` is told each step.
///
/// # Errors
/// [`OrderError`]
pub async fn order_certificate(
    edge: &Edge,
    order: CertificateOrder,
    progress: impl FnMut(OrderStep) + Send,
) -> Result<IssuedCertificate, OrderError> {
    let limit = ORDER_MAX;
    let late = |_| Err(OrderError::TimedOut { address: edge.address.clone(), limit });
    timeout(limit, run(edge, order, progress)).await.unwrap_or_else(late)
}

async fn run(
    edge: &Edge,
    order: CertificateOrder,
    progress: impl FnMut(OrderStep) + Send,
) -> Result<IssuedCertificate, OrderError> {
    let late = |_| Err(DialError::TimedOut { address: edge.address.clone(), limit: DIAL_MAX });
    let (transport, mut client) = timeout(DIAL_MAX, dialer::connect(edge)).await.unwrap_or_else(late)?;
    let CertificateOrder { domain, account } = order;
    let challenge = AcmeChallenge { domain, account_credentials_json: account.unwrap_or_default() };
    let events = match client.trigger_acme(headers::introduce(challenge)).await {
        Ok(reply) => reply.into_inner(),
        Err(status) if transport.wire().tls_error().is_some() => {
            return Err(dialer::refusal(&edge.address, &transport, status).into());
        }
        Err(status) => return Err(refusal(&edge.address, status, Vec::new())),
    };
    let issued = follow(&edge.address, events, progress).await;
    drop(client);
    transport.close().await;
    issued
}

async fn follow(
    address: &EdgeAddress,
    mut events: Streaming<AcmeIssueEvent>,
    mut progress: impl FnMut(OrderStep) + Send,
) -> Result<IssuedCertificate, OrderError> {
    let mut log = Vec::new();
    loop {
        match events.message().await {
            Ok(Some(AcmeIssueEvent { payload: Some(payload) })) => match payload {
                Payload::Progress(AcmeProgress { step }) => step_of(step).into_iter().for_each(&mut progress),
                Payload::Certificate(issued) => return Ok(issued.into()),
                Payload::Logs(logs) => {
                    log.extend(logs.lines.iter().map(|line| headers::printable(line)));
                    log.drain(..log.len().saturating_sub(LOG_MAX));
                }
            },
            Ok(Some(AcmeIssueEvent { payload: None }) | None) => {
                return Err(OrderError::NoCertificate { address: address.clone() });
            }
            Err(status) => return Err(refusal(address, status, log)),
        }
    }
}

fn refusal(address: &EdgeAddress, status: Status, log: Vec<String>) -> OrderError {
    let address = address.clone();
    if headers::is_from_peer(&status) {
        OrderError::Refused { address, code: status.code(), message: headers::words(&status), log }
    } else {
        OrderError::Lost { address, source: Box::new(status) }
    }
}

/// A step that is not known is none.
fn step_of(step: i32) -> Option<OrderStep> {
    match AcmeStep::try_from(step).ok()? {
        AcmeStep::Unspecified => None,
        AcmeStep::Connecting => Some(OrderStep::Connecting),
        AcmeStep::ValidatingDomain => Some(OrderStep::ValidatingDomain),
        AcmeStep::IssuingCertificate => Some(OrderStep::IssuingCertificate),
        AcmeStep::CheckingDomain => Some(OrderStep::CheckingDomain),
    }
}

impl From<AcmeCertificate> for IssuedCertificate {
    fn from(issued: AcmeCertificate) -> Self {
        let AcmeCertificate { cert_pem, key_pem, account_credentials_json: account } = issued;
        Self { cert_pem, key_pem, account }
    }
}

impl fmt::Debug for CertificateOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateOrder").field("domain", &self.domain).finish_non_exhaustive()
    }
}

impl fmt::Debug for IssuedCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IssuedCertificate(***)")
    }
}
