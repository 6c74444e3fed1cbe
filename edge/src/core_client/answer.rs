//! What came back over a tunnel, and what a refusal says about the call.

use bytes::Bytes;
use postern_proto::{
    proxy::{CoreResponse, core_response::Payload},
    rejection::{Code, Rejection},
};
use prost::Message as _;

use super::CallError;

/// What a refusal says about the call.
pub(super) enum Refusal {
    /// Nothing has happened; another Core may be able to.
    RolledBack,
    /// Nothing has happened; a repeat would only add to the load.
    NoRoom,
    /// Something may have happened; whoever remembers operations finds out.
    Unknown,
    /// Core's bug.
    Fault,
    /// An older Core does not know this kind of request; it has not looked for what another one may have done.
    Unserved,
    /// Core's word on what was asked.
    Answer,
}

impl Refusal {
    pub(super) fn of(rejection: &Rejection) -> Self {
        match rejection.code {
            Code::Unavailable => Self::RolledBack,
            // With a time to come back it is about this person.
            Code::ResourceExhausted if rejection.retry_after_seconds.is_none() => Self::NoRoom,
            Code::Unknown => Self::Unknown,
            Code::Internal | Code::DataLoss => Self::Fault,
            Code::Unimplemented => Self::Unserved,
            Code::Ok
            | Code::Cancelled
            | Code::InvalidArgument
            | Code::DeadlineExceeded
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::ResourceExhausted
            | Code::FailedPrecondition
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unauthenticated => Self::Answer,
        }
    }
}

/// Reads a reply; what is none is a [`CallError::BadReply`].
pub(super) fn decode(reply: Bytes) -> Result<Payload, CallError> {
    // From a slice: every field is copied into a String anyway, and `Bytes` would count references on the way.
    let reply = CoreResponse::decode(&*reply).map_err(|_| CallError::BadReply)?;
    let payload = reply.payload.ok_or(CallError::BadReply)?;
    if let Payload::CoreError(error) = payload {
        return Err(CallError::Rejected(error.into()));
    }
    Ok(payload)
}
