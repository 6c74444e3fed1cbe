//! Refusals about posture. None is about what a report says.

use postern_proto::rejection::{Code, Rejection};

use super::Refusal;
use crate::posture::CheckError;

impl Refusal for CheckError {
    fn rejection(&self) -> Rejection {
        match self {
            Self::Off | Self::LocationUnknown | Self::DeviceUnknown => {
                Rejection::new(Code::InvalidArgument, self.to_string())
            }
            Self::Host | Self::Disabled | Self::NoAccess | Self::LoginNeeded => {
                Rejection::new(Code::Unauthenticated, "unauthorized")
            }
            Self::Store(error) => error.rejection(),
        }
    }
}
