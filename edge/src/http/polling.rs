//! Polling: a device asks for its current configuration.

use axum::{extract::State, response::Response};
use postern_proto::client_types as wire;
use serde::Deserialize;

use super::{body::JsonBody, client_info::ClientInfo, error::ApiError, json};
use crate::core_client::CoreClient;

/// Holds a secret: no `Debug`.
#[derive(Deserialize)]
pub(super) struct PollBody {
    token: String,
}

pub(super) async fn poll(
    State(core): State<CoreClient>,
    ClientInfo(context): ClientInfo,
    JsonBody(body): JsonBody<PollBody>,
) -> Result<Response, ApiError> {
    let reply = core.call(wire::InstanceInfoRequest { token: body.token }, context).await?;
    Ok(json::reply(&reply))
}
