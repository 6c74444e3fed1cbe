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
    /// When it is worth asking again. Only our own ends tell it; a stock one leaves it out.
    pub retry_after_seconds: Option<u32>,
}

impl Rejection {
    /// A refusal with this code and text.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after_seconds: None }
    }

    /// The same refusal, until these seconds have passed.
    #[must_use]
    pub fn retry_after(self, seconds: u32) -> Self {
        Self { retry_after_seconds: Some(seconds), ..self }
    }
}

impl From<CoreError> for Rejection {
    fn from(error: CoreError) -> Self {
        let CoreError { status_code, message, retry_after_seconds } = error;
        Self { code: Code::from_i32(status_code), message, retry_after_seconds }
    }
}

impl From<Rejection> for CoreError {
    fn from(rejection: Rejection) -> Self {
        let Rejection { code, message, retry_after_seconds } = rejection;
        Self { status_code: code as i32, message, retry_after_seconds }
    }
}
