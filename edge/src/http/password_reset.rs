//! Password reset: a mail brings a token, the token opens a session, and within it a new password is set.
//!
//! Whether a mail is sent is never told: the reply to a request is the same for every address.

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse as _, Response},
};
use postern_proto::proxy as wire;
use serde::Deserialize;

use super::{
    body::JsonBody,
    client_info::ClientInfo,
    error::ApiError,
    json::{self, object},
    session::{PASSWORD_RESET, SessionJar},
};
use crate::core_client::{CallError, CoreClient};

/// Names a person: no `Debug`, as the other bodies here.
#[derive(Deserialize)]
pub(super) struct RequestBody {
    email: String,
}

#[derive(Deserialize)]
pub(super) struct StartBody {
    token: String,
}

#[derive(Deserialize)]
pub(super) struct ResetBody {
    password: String,
}

object!(wire::PasswordResetStartResponse { deadline_timestamp });

/// Asks for the mail.
pub(super) async fn request(
    State(core): State<CoreClient>,
    ClientInfo(context): ClientInfo,
    JsonBody(body): JsonBody<RequestBody>,
) -> Result<Response, ApiError> {
    core.call(wire::PasswordResetInitializeRequest { email: body.email }, context).await?;
    Ok(json::reply(&json::Nothing))
}

/// Opens a session with the mail's token.
pub(super) async fn start(
    State(core): State<CoreClient>,
    jar: SessionJar,
    ClientInfo(context): ClientInfo,
    JsonBody(body): JsonBody<StartBody>,
) -> Result<Response, ApiError> {
    let token = body.token;
    let reply = core.call(wire::PasswordResetStartRequest { token: token.clone() }, context).await?;
    let cookie = jar.seal(&PASSWORD_RESET, &token, reply.deadline_timestamp).ok_or(CallError::BadReply)?;
    Ok(([(header::SET_COOKIE, cookie)], json::reply(&reply)).into_response())
}

/// Sets the password and ends the session in the client.
pub(super) async fn reset(
    State(core): State<CoreClient>,
    jar: SessionJar,
    ClientInfo(context): ClientInfo,
    JsonBody(body): JsonBody<ResetBody>,
) -> Result<Response, ApiError> {
    let token = jar.open(&PASSWORD_RESET)?.into_inner();
    core.call(wire::PasswordResetRequest { password: body.password, token: Some(token) }, context).await?;
    Ok(([(header::SET_COOKIE, jar.removal(&PASSWORD_RESET))], json::reply(&json::Nothing)).into_response())
}
