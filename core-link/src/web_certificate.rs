//! The certificate that Edges show to browsers, as it travels to them.
//!
//! Edges keep none of it: each tunnel begins with it, after the session keys. An Edge that is told the same again
//! changes nothing.

use std::fmt;

use bytes::Bytes;
use postern_proto::proxy::{HttpsCerts, core_response::Payload};

use crate::greeting::push;

/// A certificate chain and its key, ready to be sent. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct WebCertificate(Bytes);

impl WebCertificate {
    /// Both in PEM; the chain begins with the certificate of the site. Nothing is checked here.
    #[must_use]
    pub fn new(cert_pem: String, key_pem: String) -> Self {
        Self(push(Payload::HttpsCerts(HttpsCerts { cert_pem, key_pem })))
    }
}

impl fmt::Debug for WebCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebCertificate(***)")
    }
}

/// What Edges are to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WebServing {
    /// Nothing, and nothing else was ever said in this run of Core.
    Never,
    /// This certificate.
    Certificate(WebCertificate),
    /// Nothing any more.
    Withdrawn,
}

impl WebServing {
    /// What a tunnel is told. An Edge of ours may hold what an earlier run of Core sent it, and learns that it is
    /// over; a stock Core tells a stock Edge nothing in this case, for which it would change its listener.
    pub(crate) fn push(&self, speaks_link: bool) -> Option<Bytes> {
        match self {
            Self::Never => speaks_link.then(clear),
            Self::Certificate(WebCertificate(push)) => Some(push.clone()),
            Self::Withdrawn => Some(clear()),
        }
    }

    /// After this change.
    pub(crate) fn changed_to(&self, certificate: Option<WebCertificate>) -> Self {
        match (certificate, self) {
            (Some(certificate), _) => Self::Certificate(certificate),
            (None, Self::Never) => Self::Never,
            (None, Self::Certificate(_) | Self::Withdrawn) => Self::Withdrawn,
        }
    }
}

fn clear() -> Bytes {
    push(Payload::ClearHttpsCerts(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_shown() {
        let certificate = WebCertificate::new("cert".to_owned(), "canary".to_owned());
        assert_eq!(format!("{certificate:?}"), "WebCertificate(***)");
    }

    #[test]
    fn a_stock_edge_hears_of_no_certificate_only_after_there_was_one() {
        let certificate = WebCertificate::new("cert".to_owned(), "key".to_owned());
        let never = WebServing::Never.changed_to(None);
        assert_eq!((never.push(false), never.push(true)), (None, Some(clear())));
        let withdrawn = never.changed_to(Some(certificate)).changed_to(None);
        assert_eq!((withdrawn.push(false), withdrawn.push(true)), (Some(clear()), Some(clear())));
    }
}
