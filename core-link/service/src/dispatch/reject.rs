//! Domain errors to the codes and texts that Edges and clients know: only here.
//!
//! Clients compare some texts, so those are a stock Core's, letter by letter.

mod device;
mod enrollment;
mod mfa;
mod openid;
mod password_reset;
mod phone;
mod posture;

use std::error::Error;

use postern_proto::rejection::{Code, Rejection};
use rand::Rng as _;

use crate::store::StoreError;

/// What happens to the effects of a refused operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Consequence {
    /// Undone, and a repeat is refused alike.
    Undo,
    /// They stay: a failed try that counts.
    Keep,
    /// Undone and forgotten: a repeat may succeed.
    Forget,
}

/// A use case's "no".
pub(super) trait Refusal: Error {
    fn rejection(&self) -> Rejection;

    fn counts(&self) -> bool {
        false
    }

    /// Not a failure: whoever asks is to ask again in some seconds. No row tells of it.
    fn is_to_wait(&self) -> bool {
        false
    }
}

/// Judged by what went out, so that no error can be stored under a code that says "try again".
pub(super) fn consequence(refusal: &impl Refusal, rejection: &Rejection) -> Consequence {
    const NEVER_STORED: [Code; 5] =
        [Code::Internal, Code::Unknown, Code::Unavailable, Code::ResourceExhausted, Code::FailedPrecondition];
    if NEVER_STORED.contains(&rejection.code) {
        Consequence::Forget
    } else if refusal.counts() {
        Consequence::Keep
    } else {
        Consequence::Undo
    }
}

pub(super) fn not_served(kind: &'static str) -> Rejection {
    Rejection::new(Code::Unimplemented, format!("this Core does not serve {kind} yet"))
}

pub(super) use self::{
    mfa::method_not_supported,
    openid::{invalid_redirect_url, no_openid_provider},
    phone::invalid_key,
};

pub(super) fn missing_device_info() -> Rejection {
    Rejection::new(Code::Internal, "missing device info")
}

pub(super) fn invalid_ip(text: &str) -> Rejection {
    /// An IPv6 address with a zone and a port still fits.
    const SHOWN_MAX: usize = 64;
    Rejection::new(Code::Internal, format!("invalid IP address: {}", &text[..text.floor_char_boundary(SHOWN_MAX)]))
}

impl Refusal for StoreError {
    fn rejection(&self) -> Rejection {
        match self {
            Self::Overloaded => overloaded(),
            Self::Unavailable { .. } | Self::TimedOut | Self::Closed => {
                // The writer warns once for all who share its failure.
                tracing::debug!(error = self as &dyn Error, "the store is not available");
                Rejection::new(Code::Unavailable, "try again")
            }
            Self::WriterFailed | Self::Uncertain { .. } => {
                tracing::warn!(error = self as &dyn Error, "whether a request took effect is not known");
                Rejection::new(Code::Unknown, "the outcome is not known")
            }
            Self::Panicked | Self::Failed { .. } | Self::Damaged { .. } | Self::Sealed(_) => internal(self),
        }
    }
}

fn overloaded() -> Rejection {
    Rejection::new(Code::ResourceExhausted, "too many requests; try again")
}

/// Whoever meets it gets an id, and the log says what it stands for.
fn internal(error: &(dyn Error + 'static)) -> Rejection {
    let id: u32 = rand::rng().random();
    tracing::error!(id = format!("{id:08x}"), error, "a request failed");
    Rejection::new(Code::Internal, format!("unexpected error {id:08x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_that_nobody_knows_is_neither_undone_nor_remembered() {
        let failure = StoreError::WriterFailed;
        let rejection = failure.rejection();
        assert_eq!(rejection.code, Code::Unknown);
        assert_eq!(consequence(&failure, &rejection), Consequence::Forget);
    }
}
