//! Whether this Edge lives, is ready, and what it is.
//!
//! `/livez` never depends on Core. `/readyz` is false from the moment a drain begins, although everything is served.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use postern_proto::version::ANNOUNCED;

use super::{
    App,
    error::ApiError,
    json::{self, object},
};
use crate::tunnel::registry::{ServerState, TunnelRegistry};

struct Status {
    status: &'static str,
}
object!(Status { status });

struct Info {
    version: &'static str,
    server_state: &'static str,
}
object!(Info { version, server_state });

pub(super) async fn livez() -> Response {
    json::reply(&Status { status: "alive" })
}

pub(super) async fn readyz(State(app): State<App>) -> Result<Response, ApiError> {
    let registry = app.registry();
    if app.is_draining() {
        return Err(ApiError::NotReady("draining"));
    }
    if registry.is_ready() {
        return Ok(json::reply(&Status { status: "ready" }));
    }
    Err(ApiError::NotReady(if registry.is_connected() { "core_not_ready" } else { "no_tunnel" }))
}

pub(super) async fn health() -> &'static str {
    "alive"
}

/// Plain text in both cases, as clients know it.
pub(super) async fn health_grpc(State(registry): State<TunnelRegistry>) -> Response {
    if registry.is_connected() {
        "alive".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "Not connected to Defguard Core").into_response()
    }
}

pub(super) async fn info(State(registry): State<TunnelRegistry>) -> Response {
    let server_state = match registry.server_state() {
        ServerState::Setup => "setup",
        ServerState::Disconnected => "disconnected",
        ServerState::Connected => "connected",
    };
    json::reply(&Info { version: ANNOUNCED, server_state })
}
