//! From the outcome of a use case to a reply, and the reply as the store keeps it.

use postern_core_link::Reply;
use postern_proto::{
    proxy::{CoreResponse, core_response::Payload},
    rejection::Rejection,
};
use prost::Message as _;

use super::{
    Dispatcher,
    reject::{Consequence, Refusal, consequence},
};
use crate::{
    activity::Attempt,
    store::{Outcome, Replay, StoreError, Tx},
};

/// A reply that a repeat of its operation gets again.
pub(super) struct StoredReply(pub(super) Reply);

impl Replay for StoredReply {
    fn to_stored(&self) -> Vec<u8> {
        let payload = match &self.0 {
            Ok(payload) => payload.clone(),
            Err(rejection) => Payload::CoreError(rejection.clone().into()),
        };
        CoreResponse { id: 0, payload: Some(payload) }.encode_to_vec()
    }

    fn from_stored(stored: &[u8]) -> Option<Self> {
        let payload = CoreResponse::decode(stored).ok()?.payload?;
        Some(Self(if let Payload::CoreError(error) = payload { Err(error.into()) } else { Ok(payload) }))
    }
}

/// What stays of an operation, and its reply.
pub(super) async fn settle<E: Refusal>(
    tx: &mut Tx,
    result: Result<Payload, E>,
    attempt: &Attempt,
) -> Outcome<StoredReply> {
    let error = match result {
        Ok(payload) => return Outcome::Commit(StoredReply(Ok(payload))),
        Err(error) => error,
    };
    let rejection = error.rejection();
    let entry = attempt.refused(&error);
    let consequence = consequence(&error, &rejection);
    let reply = StoredReply(Err(rejection));
    match consequence {
        Consequence::Forget => Outcome::Fail(reply),
        Consequence::Undo => Outcome::Refuse(reply, entry),
        Consequence::Keep => match tx.record(&entry).await {
            Ok(()) => Outcome::Commit(reply),
            Err(error) => Outcome::Fail(StoredReply(Err(error.rejection()))),
        },
    }
}

impl Dispatcher {
    /// Refuses a stranger. The row is written as far as strangers may write.
    pub(super) async fn refuse_stranger(&self, refusal: &impl Refusal, attempt: &Attempt) -> Rejection {
        let rejection = refusal.rejection();
        if let Some(unwritten) = self.refusals.take(self.store.now()) {
            let mut entry = attempt.refused(refusal);
            if unwritten > 0 {
                let detail = format!("{}; {unwritten} more like this were not written", entry.detail);
                entry = entry.with_detail(detail);
            }
            let written =
                self.store.write::<_, StoreError, _>(move |tx| Box::pin(async move { tx.record(&entry).await }));
            if let Err(error) = written.await {
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot record a refused request");
            }
        }
        rejection
    }
}

/// The reply of an operation that the store may have failed to run.
pub(super) fn finish(outcome: Result<StoredReply, StoreError>) -> Reply {
    match outcome {
        Ok(StoredReply(reply)) => reply,
        Err(error) => Err(error.rejection()),
    }
}
