//! Logs on stderr, metrics for Prometheus.
//!
//! Dependencies are capped at `error`, whatever the level: TLS and HTTP/2 write a warning for whatever a stranger sends,
//! as often as it comes and with words of his in it, and some print payloads when asked for more.

use std::io::{self, IsTerminal as _};

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{filter::Targets, prelude::*};

use crate::config::{LogFormat, LogLevel};

/// Upper bounds of the durations' histograms, in seconds: fine below a millisecond, up to the budget of a request.
const DURATION_BOUNDS: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 5.0];

/// Starts logging for the rest of the process's life.
pub fn start_logs(level: LogLevel, format: LogFormat) {
    let filter = Targets::new().with_default(LevelFilter::ERROR).with_target("postern_edge", level.0);
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    let registry = tracing_subscriber::registry();
    match format {
        LogFormat::Text => registry.with(lines.with_target(false).with_filter(filter)).init(),
        LogFormat::Json => registry.with(lines.json().flatten_event(true).with_filter(filter)).init(),
    }
    log_panics();
}

/// Makes this process's metrics readable.
///
/// # Errors
/// When the process records its metrics elsewhere already.
pub fn start_metrics() -> Result<PrometheusHandle, BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), DURATION_BOUNDS)?
        .install_recorder()
}

/// Where, never what: a panic's message may hold what was being handled.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "a task panicked");
    }));
}
