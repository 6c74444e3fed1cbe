//! Core's "no", as it travels: a gRPC code and a text for people.

pub use tonic::Code;

use crate::proxy::CoreError;

/// Core understood the request and refused it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Rejection {
    /// Why, for programs. The Edge derives the HTTP status from it.
    pub code: Code,
    /// Why, for people. Never holds a secret.
    pub message: String,
}

impl Rejection {
    /// A refusal with this code and text.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl From<CoreError> for Rejection {
    fn from(error: CoreError) -> Self {
        Self { code: Code::from_i32(error.status_code), message: error.message }
    }
}

impl From<Rejection> for CoreError {
    fn from(rejection: Rejection) -> Self {
        Self { status_code: rejection.code as i32, message: rejection.message }
    }
}
