//! Log lines on stderr, and numbers for Prometheus on loopback.
//!
//! At the default level nothing is written for a request that succeeds, but what came of an authentication always is.
//! Dependencies are capped at errors: TLS and HTTP/2 write a warning for whatever a peer sends, as often as it comes, and
//! some print payloads below that.

mod metrics_listener;
mod one_line;

use std::io;

use tracing::Dispatch;
use tracing_subscriber::{
    EnvFilter,
    fmt::{MakeWriter, format::FmtSpan},
    prelude::*,
};

pub use metrics_listener::{MetricsListener, Recorder};
use one_line::OneLine;

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
    if log(level, format, io::stderr).try_init().is_err() {
        tracing::debug!("logging has already started");
    }
    std::panic::set_hook(Box::new(log_panic));
}

/// Where, never what: a panic's message may hold what was being handled.
fn log_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(place, "a task panicked");
}

/// Core's log, one line an event, wherever it goes.
pub fn log<W>(level: LogLevel, format: LogFormat, writer: W) -> Dispatch
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let level = level.name();
    let filter = EnvFilter::new(format!("error,postern_core={level},postern_core_link={level}"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(OneLine(writer))
        .with_span_events(FmtSpan::NONE)
        .with_ansi(false);
    match format {
        LogFormat::Text => Dispatch::new(builder.finish()),
        LogFormat::Json => Dispatch::new(builder.json().finish()),
    }
}
