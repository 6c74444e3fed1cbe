//! Refusals of enrollment.

use postern_proto::rejection::{Code, Rejection};

use super::{Refusal, internal, overloaded};
use crate::{
    enrollment::{ActivateError, StartError, TokenError},
    password::PasswordError,
    person::InvalidPhone,
};

impl Refusal for TokenError {
    fn rejection(&self) -> Rejection {
        let unauthenticated = |text| Rejection::new(Code::Unauthenticated, text);
        match self {
            Self::Missing => unauthenticated("Missing authorization header"),
            Self::Invalid => unauthenticated("invalid token"),
            Self::Expired => unauthenticated("token expired"),
            Self::SessionOver => unauthenticated("Session expired"),
            Self::OfHost => Rejection::new(Code::PermissionDenied, "invalid token"),
        }
    }
}

impl Refusal for StartError {
    fn rejection(&self) -> Rejection {
        match self {
            Self::Token(error) => error.rejection(),
            Self::Disabled => Rejection::new(Code::PermissionDenied, "user is disabled"),
            Self::Store(error) => error.rejection(),
        }
    }
}

impl Refusal for ActivateError {
    fn rejection(&self) -> Rejection {
        let invalid = |text| Rejection::new(Code::InvalidArgument, text);
        match self {
            Self::Token(error) => error.rejection(),
            Self::Disabled => invalid("user is disabled"),
            Self::Missing(step) => Rejection::new(Code::InvalidArgument, step.to_string()),
            Self::Phone(InvalidPhone) => invalid("invalid phone number"),
            Self::TooWeak => invalid("password not strong enough"),
            Self::AlreadyActivated | Self::Mismatch => invalid("user already activated"),
            Self::Raced => Rejection::new(Code::Unavailable, "try again"),
            Self::Password(error) => error.rejection(),
            Self::Store(error) => error.rejection(),
        }
    }

    fn counts(&self) -> bool {
        match self {
            Self::Mismatch => true,
            Self::Token(_)
            | Self::Disabled
            | Self::Missing(_)
            | Self::Phone(_)
            | Self::TooWeak
            | Self::AlreadyActivated
            | Self::Raced
            | Self::Password(_)
            | Self::Store(_) => false,
        }
    }
}

impl Refusal for PasswordError {
    fn rejection(&self) -> Rejection {
        match self {
            Self::TooWeak => Rejection::new(Code::InvalidArgument, "password not strong enough"),
            Self::Overloaded => overloaded(),
            Self::Hash(_) | Self::Panicked => internal(self),
        }
    }
}
