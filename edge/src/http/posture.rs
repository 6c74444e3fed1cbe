//! Posture: what a device says of its state, which Core judges before it gives the key for a location.
//!
//! Nothing of it is weighed here: it is taken apart field by field and passed on.

mod report;

use axum::{extract::State, response::Response};
use postern_proto::posture as wire;
use serde::Deserialize;

pub(super) use self::report::PostureReport;
use super::{
    body::JsonBody,
    client_info::ClientInfo,
    error::ApiError,
    json::{self, object},
};
use crate::core_client::CoreClient;

#[derive(Deserialize)]
pub(super) struct ConnectBody {
    location_id: i64,
    pubkey: String,
    device_posture_data: Option<PostureReport>,
}

object!(wire::DevicePostureCheckResponse { preshared_key });

/// Asks for the key of a location that wants no second factor, but a device in good order.
pub(super) async fn connect(
    State(core): State<CoreClient>,
    ClientInfo(context): ClientInfo,
    JsonBody(body): JsonBody<ConnectBody>,
) -> Result<Response, ApiError> {
    let request = wire::DevicePostureCheckRequest {
        location_id: body.location_id,
        pubkey: body.pubkey,
        device_posture_data: body.device_posture_data.map(Into::into),
    };
    let reply = core.call(request, context).await?.map_err(ApiError::Posture)?;
    Ok(json::reply(&reply))
}
