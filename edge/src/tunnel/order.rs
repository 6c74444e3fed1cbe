//! An order for a web certificate, as Core hears of it.

use futures::{Stream, StreamExt as _, stream};
use postern_proto::proxy::{
    AcmeCertificate, AcmeIssueEvent, AcmeLogs, AcmeProgress, AcmeStep, acme_issue_event::Payload,
};
use tonic::Status;

use crate::acme::{AcmeError, Event, Step};

/// Why there will be no order, or no certificate.
pub(super) fn refuse(error: &AcmeError) -> Status {
    let text = error.to_string();
    match error {
        AcmeError::Forbidden => Status::permission_denied(text),
        AcmeError::Busy => Status::resource_exhausted(text),
        AcmeError::NotADomain => Status::invalid_argument(text),
        AcmeError::Account(_) | AcmeError::Order(_) | AcmeError::Issue(_) => Status::unavailable(text),
        AcmeError::NoHttpChallenge | AcmeError::Validation(_) => Status::failed_precondition(text),
        AcmeError::SigningRequest(_) | AcmeError::Unfit(_) => Status::internal(text),
        AcmeError::TooLong => Status::deadline_exceeded(text),
    }
}

/// A failure is a text for people, and then a status.
pub(super) fn on_the_wire(
    events: impl Stream<Item = Event> + Send,
) -> impl Stream<Item = Result<AcmeIssueEvent, Status>> + Send {
    events.flat_map(|event| {
        let messages = match event {
            Event::Step(step) => vec![Ok(Payload::Progress(AcmeProgress { step: step_of(step).into() }))],
            Event::Issued(issued) => vec![Ok(Payload::Certificate(AcmeCertificate {
                cert_pem: issued.certificate.cert_pem,
                key_pem: issued.certificate.key_pem,
                account_credentials_json: issued.credentials,
            }))],
            Event::Failed(error) => vec![Ok(Payload::Logs(AcmeLogs { lines: lines(&error) })), Err(refuse(&error))],
        };
        stream::iter(messages).map(|message| message.map(|payload| AcmeIssueEvent { payload: Some(payload) }))
    })
}

fn step_of(step: Step) -> AcmeStep {
    match step {
        Step::CheckingDomain => AcmeStep::CheckingDomain,
        Step::Connecting => AcmeStep::Connecting,
        Step::ValidatingDomain => AcmeStep::ValidatingDomain,
        Step::IssuingCertificate => AcmeStep::IssuingCertificate,
    }
}

/// What failed, and below it why.
fn lines(error: &dyn std::error::Error) -> Vec<String> {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect()
}
