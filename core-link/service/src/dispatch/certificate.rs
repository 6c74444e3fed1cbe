//! Certificates that an Edge sends unasked.
//!
//! A stock Core takes them and sends them to every Edge. Here only an order that Core began brings one: otherwise one
//! hostile Edge could choose what browsers see of all the others.

use postern_core_link::Reply;
use postern_proto::rejection::{Code, Rejection};

use super::{Dispatcher, caller::Caller, reject::Refusal};

/// It came unasked.
#[derive(Debug, thiserror::Error)]
#[error("a certificate that was not ordered")]
struct NotOrdered;

impl Refusal for NotOrdered {
    fn rejection(&self) -> Rejection {
        Rejection::new(Code::PermissionDenied, "no certificate was ordered")
    }
}

impl Dispatcher {
    pub(super) async fn unasked_certificate(&self, caller: Caller) -> Reply {
        Err(self.refuse_stranger(&NotOrdered, &caller.anonymous_attempt()).await)
    }
}
