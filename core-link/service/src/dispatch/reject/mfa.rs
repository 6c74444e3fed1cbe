//! Refusals of the second factor.

use postern_proto::rejection::{Code, Rejection};

use super::Refusal;
use crate::mfa::{
    Throttled,
    login::{self, MethodError, ValidateError},
    setup,
};

/// A factor that cannot be set up here.
pub(in crate::dispatch) fn method_not_supported() -> Rejection {
    invalid("Method not supported")
}

impl Refusal for setup::StartError {
    fn rejection(&self) -> Rejection {
        match self {
            Self::Token(error) => error.rejection(),
            Self::Ineligible(error) => ineligible(*error, "Method already enabled"),
            Self::TooManyMails => too_many_mails(self),
            Self::Store(error) => error.rejection(),
        }
    }
}

impl Refusal for setup::FinishError {
    fn rejection(&self) -> Rejection {
        const ENABLED: &str = "Mfa already enabled on the account";
        match self {
            Self::Token(error) => error.rejection(),
            Self::Ineligible(error) => ineligible(*error, ENABLED),
            Self::AlreadyConfirmed => invalid(ENABLED),
            Self::NotBegun | Self::WrongCode => invalid("Code invalid"),
            Self::WrongMailCode => invalid("Email code invalid"),
            Self::Throttled(error) => throttled(*error),
            Self::Store(error) => error.rejection(),
        }
    }

    fn counts(&self) -> bool {
        match self {
            Self::WrongCode | Self::WrongMailCode => true,
            Self::Token(_)
            | Self::Ineligible(_)
            | Self::AlreadyConfirmed
            | Self::NotBegun
            | Self::Throttled(_)
            | Self::Store(_) => false,
        }
    }
}

impl Refusal for login::StartError {
    fn rejection(&self) -> Rejection {
        match self {
            Self::LocationUnknown | Self::MfaOff | Self::DeviceUnknown => invalid(&self.to_string()),
            Self::Host | Self::Disabled | Self::NoAccess => unauthorized(),
            Self::Method(error) => invalid(match error {
                MethodError::Unknown => "invalid MFA method selected",
                MethodError::NotHere => "selected MFA method not supported by location",
                MethodError::NotSetUp => "selected MFA method not available",
                MethodError::NotOnDevice => "Select MFA method not available for the device.",
            }),
            Self::TooManyMails => too_many_mails(self),
            Self::Store(error) => error.rejection(),
        }
    }
}

impl Refusal for login::FinishError {
    fn rejection(&self) -> Rejection {
        match self {
            Self::InvalidToken | Self::SessionUnknown | Self::NoCode | Self::NoPhoneKey | Self::MfaOff => {
                invalid(&self.to_string())
            }
            Self::OtherMode
            | Self::Disabled
            | Self::NoAccess
            | Self::NoFactor
            | Self::WrongCode
            | Self::WrongSignature
            | Self::CodeUsed => unauthorized(),
            Self::OpenIdPending => Rejection::new(Code::FailedPrecondition, self.to_string()),
            Self::Throttled(error) => throttled(*error),
            Self::Store(error) => error.rejection(),
        }
    }

    fn counts(&self) -> bool {
        match self {
            Self::WrongCode | Self::WrongSignature | Self::CodeUsed => true,
            Self::InvalidToken
            | Self::SessionUnknown
            | Self::NoCode
            | Self::NoPhoneKey
            | Self::MfaOff
            | Self::OtherMode
            | Self::Disabled
            | Self::NoAccess
            | Self::NoFactor
            | Self::OpenIdPending
            | Self::Throttled(_)
            | Self::Store(_) => false,
        }
    }

    fn is_to_wait(&self) -> bool {
        matches!(self, Self::OpenIdPending)
    }
}

impl Refusal for ValidateError {
    fn rejection(&self) -> Rejection {
        match self {
            Self::Invalid => invalid("invalid token"),
            Self::Store(error) => error.rejection(),
        }
    }
}

fn ineligible(error: setup::Ineligible, enabled: &str) -> Rejection {
    match error {
        setup::Ineligible::Disabled => Rejection::new(Code::PermissionDenied, "user is disabled"),
        setup::Ineligible::Enrolled => Rejection::new(Code::PermissionDenied, "User is already enrolled"),
        setup::Ineligible::HasFactor => invalid(enabled),
    }
}

fn throttled(error: Throttled) -> Rejection {
    Rejection::new(Code::ResourceExhausted, error.to_string()).retry_after(error.retry_after_seconds())
}

fn too_many_mails(error: &impl ToString) -> Rejection {
    /// A sixth of the hour that a limit looks back on.
    const RETRY_SECONDS: u32 = 600;
    Rejection::new(Code::ResourceExhausted, error.to_string()).retry_after(RETRY_SECONDS)
}

pub(super) fn unauthorized() -> Rejection {
    Rejection::new(Code::Unauthenticated, "unauthorized")
}

pub(super) fn invalid(text: &str) -> Rejection {
    Rejection::new(Code::InvalidArgument, text)
}
