//! Refusals about phones.

use postern_proto::rejection::{Code, Rejection};

use super::{Refusal, overloaded};
use crate::{
    mfa::{approval::AwaitError, phone::RegisterError},
    store::StoreError,
};

pub(in crate::dispatch) fn invalid_key() -> Rejection {
    invalid("invalid pubkey")
}

impl Refusal for RegisterError {
    fn rejection(&self) -> Rejection {
        match self {
            Self::Token(error) => error.rejection(),
            Self::Disabled => Rejection::new(Code::PermissionDenied, "user is disabled"),
            Self::DeviceUnknown => invalid("Device with given public key doesn't exist"),
            Self::Store(error) => error.rejection(),
        }
    }
}

impl Refusal for AwaitError {
    fn rejection(&self) -> Rejection {
        match self {
            Self::InvalidToken | Self::OtherMethod => invalid(&self.to_string()),
            Self::Superseded => Rejection::new(Code::Aborted, self.to_string()),
            Self::NotInTime => Rejection::new(Code::DeadlineExceeded, self.to_string()),
            Self::TooMany => overloaded(),
            // Asking again is harmless, and finds out.
            Self::Stale | Self::Store(StoreError::Uncertain { .. } | StoreError::WriterFailed) => {
                Rejection::new(Code::Unavailable, "try again")
            }
            Self::Store(error) => error.rejection(),
        }
    }
}

fn invalid(text: &str) -> Rejection {
    Rejection::new(Code::InvalidArgument, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_of_which_nobody_knows_the_outcome_is_asked_for_again() {
        for error in [AwaitError::Stale, AwaitError::Store(StoreError::WriterFailed)] {
            assert_eq!(error.rejection().code, Code::Unavailable);
        }
    }
}
