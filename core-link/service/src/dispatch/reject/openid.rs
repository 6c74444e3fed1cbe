//! Refusals of sign-ins at the OpenID provider.

use postern_proto::rejection::{Code, Rejection};

use super::{
    Refusal,
    mfa::{invalid, unauthorized},
    overloaded,
};
use crate::{
    mfa::login::AuthenticateError,
    openid::{BeginError, OwnerError, RedeemError, SignInError, StateError},
};

/// Clients and pages offer no sign-in after this.
pub(in crate::dispatch) fn no_openid_provider() -> Rejection {
    Rejection::new(Code::NotFound, "failed to get current OpenID provider")
}

pub(in crate::dispatch) fn invalid_redirect_url() -> Rejection {
    invalid("invalid redirect URL")
}

impl Refusal for BeginError {
    fn rejection(&self) -> Rejection {
        match self {
            Self::Unreachable => Rejection::new(Code::Unavailable, self.to_string()),
            Self::StateTooLong => invalid("invalid state data"),
        }
    }
}

impl Refusal for StateError {
    fn rejection(&self) -> Rejection {
        invalid(&self.to_string())
    }
}

impl Refusal for SignInError {
    fn rejection(&self) -> Rejection {
        match self {
            Self::NoProvider => no_openid_provider(),
            Self::Redeem(error) => redeem(error, &format!("OpenID auth error {error}")),
            Self::Owner(error) => match error {
                OwnerError::Nobody => {
                    denied("nobody here is linked to this identity; ask your administrator for an enrollment token")
                }
                OwnerError::HasOther => denied("your account here is linked to another identity already"),
                OwnerError::Disabled => denied("user is disabled"),
                OwnerError::Store(error) => error.rejection(),
            },
            Self::Store(error) => error.rejection(),
        }
    }
}

impl Refusal for AuthenticateError {
    fn rejection(&self) -> Rejection {
        match self {
            Self::NoProvider | Self::SessionUnknown | Self::Expired | Self::AlreadyPassed | Self::OtherMethod => {
                invalid(&self.to_string())
            }
            Self::State(error) => error.rejection(),
            Self::Disabled | Self::NoAccess | Self::OtherPerson => unauthorized(),
            Self::Redeem(error) => redeem(error, "unauthorized"),
            Self::Store(error) => error.rejection(),
        }
    }

    fn counts(&self) -> bool {
        self.ends_login()
    }
}

/// `text` tells what only another sign-in can change.
fn redeem(error: &RedeemError, text: &str) -> Rejection {
    match error {
        RedeemError::Nonce(_) | RedeemError::Used | RedeemError::Distrust(_) => {
            Rejection::new(Code::Unauthenticated, text)
        }
        RedeemError::Unreachable => Rejection::new(Code::Unavailable, error.to_string()),
        RedeemError::Busy => overloaded(),
        RedeemError::Store(error) => error.rejection(),
    }
}

fn denied(text: &str) -> Rejection {
    Rejection::new(Code::PermissionDenied, text)
}
