//! Refusals of password reset.

use postern_proto::rejection::{Code, Rejection};

use super::Refusal;
use crate::password_reset::{ResetError, StartError, TooMany};

impl Refusal for TooMany {
    fn rejection(&self) -> Rejection {
        Rejection::new(Code::ResourceExhausted, self.to_string()).retry_after(self.seconds)
    }
}

impl Refusal for StartError {
    fn rejection(&self) -> Rejection {
        match self {
            Self::Token(error) => error.rejection(),
            Self::Disabled => disabled(),
            Self::Store(error) => error.rejection(),
        }
    }
}

impl Refusal for ResetError {
    fn rejection(&self) -> Rejection {
        match self {
            Self::Token(error) => error.rejection(),
            Self::Disabled => disabled(),
            Self::TooWeak => Rejection::new(Code::InvalidArgument, "password not strong enough"),
            Self::Mismatch => Rejection::new(Code::Unauthenticated, "invalid token"),
            Self::Raced => Rejection::new(Code::Unavailable, "try again"),
            Self::Password(error) => error.rejection(),
            Self::Store(error) => error.rejection(),
        }
    }

    fn counts(&self) -> bool {
        match self {
            Self::Mismatch => true,
            Self::Token(_) | Self::Disabled | Self::TooWeak | Self::Raced | Self::Password(_) | Self::Store(_) => false,
        }
    }
}

fn disabled() -> Rejection {
    Rejection::new(Code::PermissionDenied, "user disabled")
}
