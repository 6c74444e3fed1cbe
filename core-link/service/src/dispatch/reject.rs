//! Domain errors to the codes and texts that Edges and clients know: the only file that does.
//!
//! Clients compare some texts, so those are a stock Core's, letter by letter.

use std::error::Error;

use postern_proto::rejection::{Code, Rejection};
use rand::Rng as _;

use crate::{
    device::{AddDeviceError, HandOverError, InvalidDevice},
    enrollment::{ActivateError, StartError, TokenError},
    password::PasswordError,
    person::InvalidPhone,
    polling::PollError,
    store::StoreError,
};

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
}

/// Judged by what went out, so that no error can be stored under a code that says "try again".
pub(super) fn consequence(refusal: &impl Refusal, rejection: &Rejection) -> Consequence {
    const NEVER_STORED: [Code; 4] =
        [Code::Internal, Code::Unavailable, Code::ResourceExhausted, Code::FailedPrecondition];
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

pub(super) fn missing_device_info() -> Rejection {
    Rejection::new(Code::Internal, "missing device info")
}

pub(super) fn invalid_ip(text: &str) -> Rejection {
    /// An IPv6 address with a zone and a port still fits.
    const SHOWN_MAX: usize = 64;
    Rejection::new(Code::Internal, format!("invalid IP address: {}", &text[..text.floor_char_boundary(SHOWN_MAX)]))
}

impl Refusal for TokenError {
    fn rejection(&self) -> Rejection {
        let text = match self {
            Self::Missing => "Missing authorization header",
            Self::Invalid => "invalid token",
            Self::Expired => "token expired",
            Self::SessionOver => "Session expired",
        };
        Rejection::new(Code::Unauthenticated, text)
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

impl Refusal for InvalidDevice {
    fn rejection(&self) -> Rejection {
        match self {
            Self::Name => Rejection::new(Code::InvalidArgument, self.to_string()),
            Self::PublicKey => Rejection::new(Code::InvalidArgument, "invalid pubkey"),
        }
    }
}

impl Refusal for AddDeviceError {
    fn rejection(&self) -> Rejection {
        let invalid = |text: &str| Rejection::new(Code::InvalidArgument, text);
        match self {
            Self::Token(error) => error.rejection(),
            Self::Disabled => invalid("can't add device to disabled user"),
            Self::KeyTaken => invalid("invalid key"),
            Self::TooMany | Self::NoAddress { .. } => invalid(&self.to_string()),
            Self::Store(error) => error.rejection(),
        }
    }
}

impl Refusal for HandOverError {
    fn rejection(&self) -> Rejection {
        match self {
            Self::Token(error) => error.rejection(),
            Self::Disabled => Rejection::new(Code::PermissionDenied, "user is disabled"),
            Self::Unknown => Rejection::new(Code::NotFound, "device not found"),
            Self::NotYours => Rejection::new(Code::Unauthenticated, "token does not match device"),
            Self::Store(error) => error.rejection(),
        }
    }
}

impl Refusal for PollError {
    fn rejection(&self) -> Rejection {
        match self {
            Self::InvalidToken => Rejection::new(Code::PermissionDenied, "invalid token"),
            Self::Inactive => Rejection::new(Code::PermissionDenied, "user inactive"),
            Self::Store(error) => error.rejection(),
        }
    }
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
            Self::Panicked
            | Self::WriterFailed
            | Self::Failed { .. }
            | Self::Uncertain { .. }
            | Self::Damaged { .. }
            | Self::Sealed(_) => internal(self),
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
