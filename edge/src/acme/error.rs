//! Why there is no certificate.

use super::authority::AuthorityError;
use crate::certificate::CertificateError;

/// What people are shown of a text that the authority wrote.
const SHOWN_MAX: usize = 400;

#[derive(Debug, thiserror::Error)]
pub(crate) enum AcmeError {
    #[error("this edge may not order certificates: its setting `acme_allowed` is false")]
    Forbidden,
    #[error("this edge is ordering a certificate already")]
    Busy,
    #[error("the host of the public address is no public DNS name: it needs a form such as vpn.example.org")]
    NotADomain,
    #[error("cannot get an account at the certificate authority")]
    Account(#[source] Trouble),
    #[error("the certificate authority does not take the order")]
    Order(#[source] Trouble),
    #[error("the certificate authority does not check by HTTP")]
    NoHttpChallenge,
    #[error(
        "the certificate authority could not confirm the domain; it must reach port 80 of this edge, or of the proxy in \
         front of it, under that name"
    )]
    Validation(#[source] Trouble),
    #[error("the certificate authority did not issue the certificate")]
    Issue(#[source] Trouble),
    #[error("cannot make a key and its signing request")]
    SigningRequest(#[source] rcgen::Error),
    #[error("what the certificate authority issued cannot be used")]
    Unfit(#[source] CertificateError),
    #[error("it took longer than five minutes")]
    TooLong,
}

/// What went wrong between the authority and us.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error(transparent)]
    Talk(#[from] AuthorityError),
    #[error("{0}")]
    Refused(String),
    #[error("it did not decide in time")]
    Undecided,
    #[error("its answer makes no sense")]
    Nonsense(#[source] instant_acme::Error),
}

impl From<instant_acme::Error> for Trouble {
    fn from(error: instant_acme::Error) -> Self {
        if let instant_acme::Error::Api(problem) = &error {
            return Self::refused(problem);
        }
        if let instant_acme::Error::Timeout(_) = error {
            return Self::Undecided;
        }
        let instant_acme::Error::Other(other) = error else { return Self::Nonsense(error) };
        match other.downcast::<AuthorityError>() {
            Ok(error) => Self::Talk(*error),
            Err(other) => Self::Nonsense(instant_acme::Error::Other(other)),
        }
    }
}

impl Trouble {
    pub(super) fn refused(problem: &instant_acme::Problem) -> Self {
        let subproblems = problem.subproblems.iter().filter_map(|subproblem| subproblem.detail.as_deref());
        let details: Vec<&str> = problem.detail.as_deref().into_iter().chain(subproblems).collect();
        let kind = problem.r#type.as_deref().and_then(|kind| kind.rsplit(':').next()).unwrap_or("error");
        Self::Refused(shown(&format!("{kind}: {}", details.join("; "))))
    }
}

/// On one line, and not without end.
fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN_MAX).collect()
}
