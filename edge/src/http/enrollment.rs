//! Enrollment: a token opens a session; within it a person sets up devices, a second factor and a password.

mod bodies;

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse as _, Response},
};
use postern_proto::client_types as wire;

use self::bodies::{
    ActivateBody, CreateDeviceBody, MfaFinishBody, MfaStartBody, NetworkInfoBody, RegisterMobileBody, StartBody,
};
use super::{
    body::JsonBody,
    client_info::ClientInfo,
    error::ApiError,
    json,
    session::{ENROLLMENT, SessionError, SessionJar},
};
use crate::core_client::{CallError, CoreClient};

/// Opens a session, or finds the one that the token opened before.
pub(super) async fn start(
    State(core): State<CoreClient>,
    jar: SessionJar,
    ClientInfo(context): ClientInfo,
    JsonBody(body): JsonBody<StartBody>,
) -> Result<Response, ApiError> {
    let token = body.token;
    let reply = core.call(wire::EnrollmentStartRequest { token: token.clone() }, context).await?;
    let cookie = jar.seal(&ENROLLMENT, &token, reply.deadline_timestamp).ok_or(CallError::BadReply)?;
    let mut response = json::reply(&reply);
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(response)
}

/// Adds a device to the session's person.
pub(super) async fn create_device(
    State(core): State<CoreClient>,
    jar: SessionJar,
    ClientInfo(context): ClientInfo,
    JsonBody(body): JsonBody<CreateDeviceBody>,
) -> Result<Response, ApiError> {
    let token = jar.open(&ENROLLMENT)?.into_inner();
    let device = wire::NewDevice { name: body.name, pubkey: body.pubkey, token: Some(token) };
    let reply = core.call(device, context).await?;
    Ok(json::reply(&reply))
}

/// The current configuration of a device that the session's person has. A desktop that hears 404 here forgets its
/// instance, so only Core may say so.
pub(super) async fn network_info(
    State(core): State<CoreClient>,
    jar: SessionJar,
    ClientInfo(context): ClientInfo,
    JsonBody(body): JsonBody<NetworkInfoBody>,
) -> Result<Response, ApiError> {
    let token = jar.open(&ENROLLMENT)?.into_inner();
    let reply = core.call(wire::ExistingDevice { pubkey: body.pubkey, token: Some(token) }, context).await?;
    Ok(json::reply(&reply))
}

/// Names the key with which a phone will approve. Phones know a missing cookie as 400, and as nothing else.
pub(super) async fn register_mobile(
    State(core): State<CoreClient>,
    jar: SessionJar,
    ClientInfo(context): ClientInfo,
    JsonBody(body): JsonBody<RegisterMobileBody>,
) -> Result<Response, ApiError> {
    let token = jar.open(&ENROLLMENT).map_err(|error| match error {
        SessionError::Missing => ApiError::NoToken,
        SessionError::Expired | SessionError::OtherBrowser => error.into(),
    })?;
    let request = wire::RegisterMobileAuthRequest {
        token: token.into_inner(),
        auth_pub_key: body.auth_pub_key.checked()?,
        device_pub_key: body.device_pub_key.checked()?,
    };
    core.call(request, context).await?;
    Ok(json::reply(&json::Nothing))
}

/// Gives the secret of a second factor that the next step confirms.
pub(super) async fn start_mfa(
    State(core): State<CoreClient>,
    jar: SessionJar,
    ClientInfo(context): ClientInfo,
    JsonBody(body): JsonBody<MfaStartBody>,
) -> Result<Response, ApiError> {
    let method = body.method.number()?;
    let token = jar.open(&ENROLLMENT)?.into_inner();
    let reply = core.call(wire::CodeMfaSetupStartRequest { method, token }, context).await?;
    Ok(json::reply(&reply))
}

/// Confirms the second factor with its first code.
pub(super) async fn finish_mfa(
    State(core): State<CoreClient>,
    jar: SessionJar,
    ClientInfo(context): ClientInfo,
    JsonBody(body): JsonBody<MfaFinishBody>,
) -> Result<Response, ApiError> {
    let method = body.method.number()?;
    let token = jar.open(&ENROLLMENT)?.into_inner();
    let reply = core.call(wire::CodeMfaSetupFinishRequest { code: body.code, token, method }, context).await?;
    Ok(json::reply(&reply))
}

/// Sets the password and ends the session in the client.
pub(super) async fn activate_user(
    State(core): State<CoreClient>,
    jar: SessionJar,
    ClientInfo(context): ClientInfo,
    JsonBody(body): JsonBody<ActivateBody>,
) -> Result<Response, ApiError> {
    let token = jar.open(&ENROLLMENT)?.into_inner();
    let request =
        wire::ActivateUserRequest { phone_number: body.phone_number, password: body.password, token: Some(token) };
    core.call(request, context).await?;
    // Never an empty body: there are clients that parse it.
    let reply = json::reply(&json::Nothing);
    Ok(([(header::SET_COOKIE, jar.removal(&ENROLLMENT))], reply).into_response())
}
