//! Refusals about devices, and to devices that poll.

use postern_proto::rejection::{Code, Rejection};

use super::Refusal;
use crate::{
    device::{AddDeviceError, HandOverError, InvalidDevice},
    polling::PollError,
};

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
            Self::NoName | Self::TooMany | Self::NoAddress { .. } => invalid(&self.to_string()),
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
