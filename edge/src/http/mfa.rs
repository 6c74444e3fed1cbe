//! Second factors at login: a device proves who holds it, and gets the key for one location.

pub(super) mod method;

use axum::{extract::State, response::Response};
use postern_proto::client_types as wire;
use serde::Deserialize;

use self::method::Method;
use super::{
    body::JsonBody,
    client_info::ClientInfo,
    error::ApiError,
    json::{self, object},
    posture::PostureReport,
};
use crate::core_client::CoreClient;

#[derive(Deserialize)]
pub(super) struct StartBody {
    location_id: i64,
    pubkey: String,
    method: Method,
    posture_data: Option<PostureReport>,
}

/// Holds secrets: no `Debug`.
#[derive(Deserialize)]
pub(super) struct FinishBody {
    token: String,
    code: Option<String>,
    auth_pub_key: Option<String>,
}

object!(wire::ClientMfaStartResponse { token, challenge });
object!(wire::ClientMfaFinishResponse { preshared_key, token });

/// Opens a session for one device and location.
pub(super) async fn start(
    State(core): State<CoreClient>,
    ClientInfo(context): ClientInfo,
    JsonBody(body): JsonBody<StartBody>,
) -> Result<Response, ApiError> {
    let method = body.method.number()?;
    let request = wire::ClientMfaStartRequest {
        location_id: body.location_id,
        pubkey: body.pubkey,
        method,
        posture_data: body.posture_data.map(Into::into),
    };
    let reply = core.call(request, context).await?;
    Ok(json::reply(&reply))
}

/// Shows the factor, and gets the location's preshared key.
pub(super) async fn finish(
    State(core): State<CoreClient>,
    ClientInfo(context): ClientInfo,
    JsonBody(body): JsonBody<FinishBody>,
) -> Result<Response, ApiError> {
    let reply = core.call(wire::ClientMfaFinishRequest::from(body), context).await?;
    Ok(json::reply(&reply))
}

/// Approves the login of another device. The key is that device's, so the one that approves does not get it.
pub(super) async fn finish_remote(
    State(core): State<CoreClient>,
    ClientInfo(context): ClientInfo,
    JsonBody(body): JsonBody<FinishBody>,
) -> Result<Response, ApiError> {
    core.call(wire::ClientMfaFinishRequest::from(body), context).await?;
    Ok(json::reply(&json::Nothing))
}

impl From<FinishBody> for wire::ClientMfaFinishRequest {
    fn from(FinishBody { token, code, auth_pub_key }: FinishBody) -> Self {
        Self { token, code, auth_pub_key }
    }
}
