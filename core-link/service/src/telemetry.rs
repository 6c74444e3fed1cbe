//! Log lines on stderr, and numbers for Prometheus on loopback.
//!
//! At the default level nothing is written for a request that succeeds. Dependencies are capped at warnings: some
//! of them print payloads below that.

mod metrics_listener;

use std::io;

use tracing_subscriber::{EnvFilter, fmt::format::FmtSpan};

pub use metrics_listener::{MetricsListener, Recorder};

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

impl LogLevel {
    pub const ALL: [Self; 5] = [Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];

    /// As it stands in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// Starts logging for the whole process; a second call changes nothing.
pub fn start_logging(level: LogLevel, format: LogFormat) {
    let level = level.name();
    let filter = EnvFilter::new(format!("warn,postern_core={level},postern_core_link={level}"));
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_span_events(FmtSpan::NONE);
    let started = match format {
        LogFormat::Text => builder.with_ansi(false).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    if started.is_err() {
        tracing::debug!("logging has already started");
    }
}
