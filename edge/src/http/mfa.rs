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
};
use crate::core_client::CoreClient;

/// What it says of the device's posture is not passed on.
#[derive(Deserialize)]
pub(super) struct StartBody {
    location_id: i64,
    pubkey: String,
    method: Method,
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
    let request =
        wire::ClientMfaStartRequest { location_id: body.location_id, pubkey: body.pubkey, method, posture_data: None };
    let reply = core.call(request, context).await?;
    Ok(json::reply(&reply))
}

/// Shows the factor, and gets the location's preshared key.
pub(super) async fn finish(
    State(core): State<CoreClient>,
    ClientInfo(context): ClientInfo,
    JsonBody(body): JsonBody<FinishBody>,
) -> Result<Response, ApiError> {
    let FinishBody { token, code, auth_pub_key } = body;
    let reply = core.call(wire::ClientMfaFinishRequest { token, code, auth_pub_key }, context).await?;
    Ok(json::reply(&reply))
}
