//! The only file that picks a status code.
//!
//! 503: certainly no effect. 502 and 504: sent, outcome unknown. 404 on an API route: only Core says so.

use std::borrow::Cow;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use postern_proto::{
    posture::DevicePostureRejection,
    rejection::{Code, Rejection},
};

use super::{
    arrival::RequestId,
    body::BodyError,
    json::{self, object},
    session::SessionError,
};
use crate::core_client::CallError;

/// Whoever is shed comes back after 1 to this many seconds, so that not all come back at once.
const SHED_SECONDS_MAX: u32 = 4;

/// Why a request is not answered as asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    #[error("the call to Core failed")]
    Call(#[from] CallError),
    #[error("no session key is held")]
    NoSessionKey,
    #[error("the device is not in order")]
    Posture(DevicePostureRejection),
    #[error("the query is not acceptable")]
    Query,
    #[error("the request asks for no websocket")]
    NotWebsocket,
    #[error("as many websockets are open as may be")]
    TooManyWebsockets,
    #[error("no login waits for approval")]
    NoLogin,
    #[error("no cookie brings the session's token")]
    NoToken,
    #[error("there is no valid session")]
    Session(#[from] SessionError),
    #[error("the body is not acceptable")]
    Body(#[from] BodyError),
    #[error("the head cannot be read")]
    Head(HeadError),
    #[error("the body's length is not announced")]
    LengthUnknown,
    #[error("the host is named twice, or not at all")]
    HostUnclear,
    #[error("a page of another site has sent this")]
    CrossSite,
    #[error("no such path")]
    UnknownPath,
    #[error("the path does not take this method")]
    WrongMethod,
    #[error("this part of the API is not served")]
    NotServed,
    #[error("not ready: {0}")]
    NotReady(&'static str),
    #[error("the handler panicked")]
    Panicked,
}

/// Why a request's head was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeadError {
    TooLarge,
    Malformed,
}

impl HeadError {
    /// By the status that hyper gives it; `None` for one that blames nobody.
    pub(super) fn of(status: &str) -> Option<Self> {
        match status {
            "431" | "414" => Some(Self::TooLarge),
            _ => status.starts_with('4').then_some(Self::Malformed),
        }
    }
}

/// An error as it leaves: front adds the request id and writes it out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    status: StatusCode,
    code: &'static str,
    text: Cow<'static, str>,
    retry_after: Option<u32>,
}

struct ErrorBody<'a> {
    error: &'a str,
    code: &'a str,
    request_id: &'a str,
}
object!(ErrorBody<'_> { error, code, request_id });

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let answer = Answer::from(self);
        let mut response = answer.status.into_response();
        response.extensions_mut().insert(answer);
        response
    }
}

impl Answer {
    pub(super) fn write(self, request_id: &RequestId) -> Response {
        let body = ErrorBody { error: &self.text, code: self.code, request_id: request_id.as_str() };
        let mut response = json::reply(&body);
        *response.status_mut() = self.status;
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        self.log(request_id);
        response
    }

    /// A 5xx that tells of a fault is worth waking someone; a tunnel that is away is logged by the tunnel, once.
    fn log(&self, request_id: &RequestId) {
        let (status, code, request_id) = (self.status.as_u16(), self.code, request_id.as_str());
        if matches!(self.code, "internal" | "bad_reply") {
            tracing::warn!(status, code, request_id, "a request failed");
        } else {
            tracing::debug!(status, code, request_id, "a request was refused");
        }
    }
}

fn answer(status: StatusCode, code: &'static str, text: impl Into<Cow<'static, str>>) -> Answer {
    Answer { status, code, text: text.into(), retry_after: None }
}

impl From<ApiError> for Answer {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::Call(error) => Self::from(error),
            ApiError::NoSessionKey => unavailable("no_session_key"),
            ApiError::Posture(rejection) => {
                answer(StatusCode::FORBIDDEN, "posture_rejected", rejection.failed_posture_checks.join(", "))
            }
            ApiError::Query => answer(StatusCode::BAD_REQUEST, "invalid_query", "The query is not valid"),
            ApiError::NotWebsocket => {
                answer(StatusCode::BAD_REQUEST, "not_websocket", "Open this address as a websocket")
            }
            ApiError::TooManyWebsockets => Self { code: "too_many_websockets", ..shed() },
            // Clients know the empty text.
            ApiError::NoLogin => answer(StatusCode::UNAUTHORIZED, "no_login", ""),
            ApiError::NoToken => answer(StatusCode::BAD_REQUEST, "no_token", "No token present"),
            ApiError::Session(error) => Self::from(error),
            ApiError::Body(error) => Self::from(error),
            ApiError::Head(error) => Self::from(error),
            ApiError::LengthUnknown => {
                answer(StatusCode::BAD_REQUEST, "length_required", "Send the body with a Content-Length")
            }
            ApiError::HostUnclear => answer(StatusCode::BAD_REQUEST, "unclear_host", "Send one Host header"),
            ApiError::CrossSite => answer(StatusCode::FORBIDDEN, "cross_site", "Requests from other sites are refused"),
            ApiError::UnknownPath => answer(StatusCode::NOT_FOUND, "unknown_path", "Not found"),
            ApiError::WrongMethod => answer(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", "Method not allowed"),
            ApiError::NotServed => answer(StatusCode::NOT_IMPLEMENTED, "not_implemented", "Not implemented"),
            ApiError::NotReady(code) => answer(StatusCode::SERVICE_UNAVAILABLE, code, "Not ready"),
            ApiError::Panicked => internal(),
        }
    }
}

impl From<CallError> for Answer {
    fn from(error: CallError) -> Self {
        match error {
            CallError::NoTunnel => unavailable("no_tunnel"),
            CallError::Overloaded => shed(),
            CallError::TunnelLost => answer(StatusCode::BAD_GATEWAY, "tunnel_lost", "The connection to Core was lost"),
            CallError::BadReply => answer(StatusCode::BAD_GATEWAY, "bad_reply", "Core sent an unreadable reply"),
            CallError::DeadlineExceeded => timeout(),
            CallError::Rejected(rejection) => Self::from(rejection),
        }
    }
}

impl From<Rejection> for Answer {
    fn from(rejection: Rejection) -> Self {
        let (text, retry_after) = (rejection.message, rejection.retry_after_seconds);
        match rejection.code {
            Code::InvalidArgument => answer(StatusCode::BAD_REQUEST, "invalid_argument", text),
            Code::Unauthenticated => answer(StatusCode::UNAUTHORIZED, "unauthenticated", text),
            Code::FailedPrecondition if text.eq_ignore_ascii_case("no valid license") => {
                answer(StatusCode::PAYMENT_REQUIRED, "no_license", "Enterprise features are not enabled")
            }
            Code::FailedPrecondition => answer(StatusCode::PRECONDITION_REQUIRED, "failed_precondition", text),
            Code::PermissionDenied => answer(StatusCode::FORBIDDEN, "permission_denied", text),
            Code::NotFound => answer(StatusCode::NOT_FOUND, "not_found", text),
            Code::AlreadyExists => answer(StatusCode::CONFLICT, "already_exists", text),
            // A time to come back means that this person has tried too often; without one, that Core is busy.
            Code::ResourceExhausted if retry_after.is_some() => {
                Self { retry_after, ..answer(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", text) }
            }
            Code::ResourceExhausted => shed(),
            Code::Unavailable => unavailable("core_unavailable"),
            Code::DeadlineExceeded => timeout(),
            Code::Unknown => answer(
                StatusCode::BAD_GATEWAY,
                "outcome_unknown",
                "Core cannot tell whether this took effect; try again",
            ),
            // Whatever else Core says is no answer for a person, and its words stay inside.
            Code::Ok
            | Code::Cancelled
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::Internal
            | Code::DataLoss => internal(),
        }
    }
}

impl From<HeadError> for Answer {
    fn from(error: HeadError) -> Self {
        match error {
            HeadError::TooLarge => answer(
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "head_too_large",
                "The head of the request is too large",
            ),
            HeadError::Malformed => answer(StatusCode::BAD_REQUEST, "malformed_head", "The request cannot be read"),
        }
    }
}

impl From<SessionError> for Answer {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Missing => answer(StatusCode::UNAUTHORIZED, "no_session", "Session not found"),
            SessionError::Expired => answer(StatusCode::UNAUTHORIZED, "session_expired", "Session expired"),
            SessionError::OtherBrowser => {
                let text = "This login was begun in another browser, or a newer one has taken its place";
                answer(StatusCode::UNAUTHORIZED, "other_browser", text)
            }
        }
    }
}

impl From<BodyError> for Answer {
    fn from(error: BodyError) -> Self {
        let text = "The body is not valid JSON";
        match error {
            BodyError::ContentType => {
                answer(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content_type", "Content-Type must be application/json")
            }
            BodyError::TooLarge => answer(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "The body is too large"),
            BodyError::Syntax => answer(StatusCode::BAD_REQUEST, "invalid_json", text),
            BodyError::DuplicateField => {
                answer(StatusCode::BAD_REQUEST, "duplicate_field", "A field of the body occurs twice")
            }
            BodyError::WrongShape => answer(
                StatusCode::UNPROCESSABLE_ENTITY,
                "wrong_shape",
                "A field of the body is missing or has the wrong type",
            ),
            BodyError::UnknownMethod => {
                answer(StatusCode::BAD_REQUEST, "unknown_method", "There is no such MFA method")
            }
            BodyError::UnknownFlow => answer(StatusCode::BAD_REQUEST, "unknown_flow", "There is no such login here"),
            BodyError::InvalidKey => answer(StatusCode::BAD_REQUEST, "invalid_key", "A key must be 32 bytes in base64"),
            BodyError::TooSlow => answer(StatusCode::REQUEST_TIMEOUT, "body_too_slow", "The body came too slowly"),
            BodyError::Broken => answer(StatusCode::BAD_REQUEST, "broken_body", "The body did not arrive whole"),
        }
    }
}

fn unavailable(code: &'static str) -> Answer {
    let text = "The service is not available right now";
    Answer { retry_after: Some(1), ..answer(StatusCode::SERVICE_UNAVAILABLE, code, text) }
}

fn shed() -> Answer {
    let seconds = rand::random_range(1..=SHED_SECONDS_MAX);
    Answer { retry_after: Some(seconds), ..answer(StatusCode::TOO_MANY_REQUESTS, "overloaded", "Too many requests") }
}

fn timeout() -> Answer {
    answer(StatusCode::GATEWAY_TIMEOUT, "deadline_exceeded", "Core did not answer in time")
}

fn internal() -> Answer {
    answer(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal server error")
}
