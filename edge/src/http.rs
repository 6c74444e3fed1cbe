//! The public side: HTTP requests in, calls over a tunnel out.
//!
//! Only here a status code is picked, and only here a client's word is weighed. Nothing is kept between two
//! requests, so any Edge may serve any of them.

mod acme_challenge;
mod arrival;
mod body;
mod client_info;
mod connection;
mod cross_site;
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
mod openid;
mod pages;
mod password_reset;
mod polling;
mod posture;
mod redirect;
pub mod remote_mfa;
mod session;

use std::sync::Arc;

use axum::{
    Router,
    extract::FromRef,
    routing::{get, post},
};

pub use self::{client_info::TrustedProxies, front::Front};
use self::{error::ApiError, remote_mfa::Websockets};
use crate::{
    acme::Challenges,
    certificate::Certificates,
    config::{NodeName, PublicOrigin, PublicUrl},
    core_client::CoreClient,
    drain::Drain,
    tunnel::{push::SessionKeys, registry::TunnelRegistry},
};

/// What the HTTP side is made of.
#[derive(Debug)]
pub struct Parts {
    pub core: CoreClient,
    pub registry: TunnelRegistry,
    pub session_keys: SessionKeys,
    pub trusted_proxies: TrustedProxies,
    pub public_url: PublicUrl,
    /// Pages of other origins may not make a browser call this Edge.
    pub public_origin: PublicOrigin,
    /// Shown in a response header.
    pub exposed_name: Option<NodeName>,
    pub websockets: Websockets,
    /// The web certificate, while this Edge serves HTTPS itself.
    pub certificates: Certificates,
    pub challenges: Challenges,
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

    fn public_origin(&self) -> &PublicOrigin {
        &self.0.public_origin
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

impl FromRef<App> for Challenges {
    fn from_ref(app: &App) -> Self {
        app.0.challenges.clone()
    }
}

fn router(app: App) -> Router {
    Router::new()
        .route("/api/v1/poll", post(polling::poll))
        .route("/api/v1/enrollment/start", post(enrollment::start))
        .route("/api/v1/enrollment/create_device", post(enrollment::create_device))
        .route("/api/v1/enrollment/activate_user", post(enrollment::activate_user))
        .route("/api/v1/enrollment/network_info", post(enrollment::network_info))
        .route("/api/v1/enrollment/register-mfa/code/start", post(enrollment::start_mfa))
        .route("/api/v1/enrollment/register-mfa/code/finish", post(enrollment::finish_mfa))
        .route("/api/v1/enrollment/register_mobile", post(enrollment::register_mobile))
        .route("/api/v1/password-reset/request", post(password_reset::request))
        .route("/api/v1/password-reset/start", post(password_reset::start))
        .route("/api/v1/password-reset/reset", post(password_reset::reset))
        .route("/api/v1/client-mfa/start", post(mfa::start))
        .route("/api/v1/client-mfa/finish", post(mfa::finish))
        .route("/api/v1/client-mfa/finish-remote", post(mfa::finish_remote))
        .route("/api/v1/client-mfa/remote", get(remote_mfa::open))
        .route("/api/v1/openid/auth_info", post(openid::auth_info))
        .route("/api/v1/openid/callback", post(openid::callback))
        .route("/api/v1/openid/callback/mfa", post(openid::mfa_callback))
        .route("/api/v1/posture/connect", post(posture::connect))
        .route("/api/v1/health", get(health::health))
        .route("/api/v1/health-grpc", get(health::health_grpc))
        .route("/api/v1/info", get(health::info))
        .route("/.well-known/acme-challenge/{token}", get(acme_challenge::answer))
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .merge(pages::routes())
        .fallback(pages::unknown)
        .method_not_allowed_fallback(async || ApiError::WrongMethod)
        .with_state(app)
}
