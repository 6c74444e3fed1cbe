//! Metrics of the public side. Handles are made once; a request only counts.

use std::time::Duration;

use axum::http::StatusCode;
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

/// Paths with numbers of their own. Everything else is counted together, so that nobody outside can make names.
const PATHS: &[&str] = &[
    "/api/v1/poll",
    "/api/v1/client-mfa/start",
    "/api/v1/client-mfa/finish",
    "/api/v1/client-mfa/finish-remote",
    "/api/v1/client-mfa/remote",
    "/api/v1/enrollment/start",
    "/api/v1/enrollment/create_device",
    "/api/v1/enrollment/activate_user",
    "/api/v1/enrollment/network_info",
    "/api/v1/enrollment/register-mfa/code/start",
    "/api/v1/enrollment/register-mfa/code/finish",
    "/api/v1/enrollment/register_mobile",
    "/api/v1/password-reset/request",
    "/api/v1/password-reset/start",
    "/api/v1/password-reset/reset",
    "/api/v1/openid/auth_info",
    "/api/v1/openid/callback",
    "/api/v1/openid/callback/mfa",
    "/api/v1/posture/connect",
    "/api/v1/health",
    "/api/v1/health-grpc",
    "/api/v1/info",
    "/livez",
    "/readyz",
];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

pub(super) struct RequestMetrics {
    /// One for each path, and a last one for the rest.
    routes: Vec<RouteMetrics>,
}

pub(super) struct RouteMetrics {
    answered: [Counter; CLASSES.len()],
    duration: Histogram,
}

impl RequestMetrics {
    pub(super) fn new() -> Self {
        let routes = PATHS.iter().copied().chain(["other"]);
        Self { routes: routes.map(RouteMetrics::new).collect() }
    }

    pub(super) fn of(&self, path: &str) -> &RouteMetrics {
        let at = PATHS.iter().position(|known| *known == path).unwrap_or(PATHS.len());
        &self.routes[at]
    }
}

impl RouteMetrics {
    fn new(route: &'static str) -> Self {
        Self {
            answered: CLASSES.map(|class| counter!("postern_edge_requests_total", "route" => route, "status" => class)),
            duration: histogram!("postern_edge_request_duration_seconds", "route" => route),
        }
    }

    pub(super) fn count(&self, status: StatusCode, took: Duration) {
        let class = usize::from(status.as_u16() / 100).clamp(1, CLASSES.len()) - 1;
        self.answered[class].increment(1);
        self.duration.record(took);
    }
}

pub(super) struct ConnectionMetrics {
    pub(super) open: Gauge,
    pub(super) refused: Counter,
}

impl ConnectionMetrics {
    pub(super) fn new() -> Self {
        Self { open: gauge!("postern_edge_connections"), refused: counter!("postern_edge_connections_refused_total") }
    }
}
