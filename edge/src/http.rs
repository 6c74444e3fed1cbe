//! The public side: HTTP requests in, calls over a tunnel out.
//!
//! Only here a status code is picked, and only here a client's word is weighed. Nothing is kept between two
//! requests, so any Edge may serve any of them.

mod arrival;
mod body;
mod client_info;
mod connection;
mod device_config;
mod enrollment;
mod error;
mod front;
mod headers;
mod health;
mod json;
pub mod listener;
mod measure;
pub mod metrics;
mod mfa;
mod polling;
mod session;

use std::sync::Arc;

use axum::{
    Router,
    extract::FromRef,
    http::Uri,
    routing::{any, get, post},
};

use self::error::ApiError;
pub use self::{client_info::TrustedProxies, front::Front};
use crate::{
    config::{NodeName, PublicUrl},
    core_client::CoreClient,
    drain::Drain,
    tunnel::{push::SessionKeys, registry::TunnelRegistry},
};

/// Part of the API, not served yet: 501, since a 404 would make clients forget their instance.
const NOT_SERVED: &[&str] = &[
    "/api/v1/enrollment/register_mobile",
    "/api/v1/password-reset/request",
    "/api/v1/password-reset/start",
    "/api/v1/password-reset/reset",
    "/api/v1/client-mfa/finish-remote",
    "/api/v1/client-mfa/remote",
    "/api/v1/openid/auth_info",
    "/api/v1/openid/callback",
    "/api/v1/openid/callback/mfa",
    "/api/v1/posture/connect",
];

/// What the HTTP side is made of.
#[derive(Debug)]
pub struct Parts {
    pub core: CoreClient,
    pub registry: TunnelRegistry,
    pub session_keys: SessionKeys,
    pub trusted_proxies: TrustedProxies,
    pub public_url: PublicUrl,
    /// Shown in a response header.
    pub exposed_name: Option<NodeName>,
    pub drain: Drain,
}

/// State of the handlers; each takes the part that it needs.
#[derive(Clone)]
struct App(Arc<Parts>);

impl App {
    fn registry(&self) -> &TunnelRegistry {
        &self.0.registry
    }

    fn session_keys(&self) -> &SessionKeys {
        &self.0.session_keys
    }

    fn trusted_proxies(&self) -> &TrustedProxies {
        &self.0.trusted_proxies
    }

    fn public_url(&self) -> PublicUrl {
        self.0.public_url
    }

    fn is_draining(&self) -> bool {
        self.0.drain.has_begun()
    }
}

impl FromRef<App> for CoreClient {
    fn from_ref(app: &App) -> Self {
        app.0.core.clone()
    }
}

impl FromRef<App> for TunnelRegistry {
    fn from_ref(app: &App) -> Self {
        app.0.registry.clone()
    }
}

fn router(app: App) -> Router {
    let routes = Router::new()
        .route("/api/v1/poll", post(polling::poll))
        .route("/api/v1/enrollment/start", post(enrollment::start))
        .route("/api/v1/enrollment/create_device", post(enrollment::create_device))
        .route("/api/v1/enrollment/activate_user", post(enrollment::activate_user))
        .route("/api/v1/enrollment/network_info", post(enrollment::network_info))
        .route("/api/v1/enrollment/register-mfa/code/start", post(enrollment::start_mfa))
        .route("/api/v1/enrollment/register-mfa/code/finish", post(enrollment::finish_mfa))
        .route("/api/v1/client-mfa/start", post(mfa::start))
        .route("/api/v1/client-mfa/finish", post(mfa::finish))
        .route("/api/v1/health", get(health::health))
        .route("/api/v1/health-grpc", get(health::health_grpc))
        .route("/api/v1/info", get(health::info))
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz));
    NOT_SERVED
        .iter()
        .fold(routes, |routes, path| routes.route(path, any(async || ApiError::NotServed)))
        .fallback(async |uri: Uri| unknown(uri.path()))
        .method_not_allowed_fallback(async || ApiError::WrongMethod)
        .with_state(app)
}

/// Behind an address with a path of its own (`https://vpn.example.org/edge/`) a desktop asks for this one below that
/// path, and at a 404 deletes what it knows of its instance.
fn unknown(path: &str) -> ApiError {
    if path.ends_with("/enrollment/network_info") { ApiError::NotServed } else { ApiError::UnknownPath }
}
