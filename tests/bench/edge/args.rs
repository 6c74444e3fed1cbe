//! The command line: of a person, and of this program when it starts itself in another role.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// Compares the shipped Edge with a bare server.
#[derive(Debug, clap::Parser)]
pub(crate) struct Args {
    /// Interleaved rounds; the figures are medians over them.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of load for each figure of a round.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Three rounds of two seconds, without NGINX and Core, and no verdict.
    #[arg(long)]
    quick: bool,
    /// Build nothing and compare this postern-edge, without NGINX and Core.
    #[arg(long)]
    pub(crate) edge_bin: Option<PathBuf>,
    /// Set by cargo.
    #[arg(long, hide = true)]
    pub(crate) bench: bool,
    /// Set by test runners that look for tests.
    #[arg(long, hide = true)]
    list: bool,
    #[command(subcommand)]
    pub(crate) role: Option<Role>,
}

/// What a child process of the bench does.
#[derive(Debug, clap::Subcommand)]
#[command(disable_help_subcommand = true)]
pub(crate) enum Role {
    #[command(hide = true)]
    Bare(BareOptions),
    #[command(hide = true)]
    FakeCore(FakeCoreOptions),
    #[command(hide = true)]
    Load(LoadOptions),
}

/// One file for each route, with the body to answer.
#[derive(Debug, clap::Args)]
pub(crate) struct BareOptions {
    #[arg(long)]
    pub(crate) poll: PathBuf,
    #[arg(long)]
    pub(crate) enrollment_start: PathBuf,
}

/// The Edge to adopt and to answer for.
#[derive(Debug, clap::Args)]
pub(crate) struct FakeCoreOptions {
    #[arg(long)]
    pub(crate) tunnel: SocketAddr,
}

/// What to send where.
#[derive(Debug, clap::Args)]
pub(crate) struct LoadOptions {
    #[arg(long)]
    pub(crate) address: SocketAddr,
    /// The request, as it goes over the wire.
    #[arg(long)]
    pub(crate) request: PathBuf,
    #[arg(long)]
    pub(crate) connections: usize,
    #[arg(long)]
    pub(crate) millis: u64,
}

impl Args {
    pub(crate) fn rounds(&self) -> usize {
        if self.quick { self.rounds.min(3) } else { self.rounds.max(1) }
    }

    /// Neither NGINX nor Core takes part.
    pub(crate) fn only_comparison(&self) -> bool {
        self.quick || self.edge_bin.is_some()
    }

    /// Too short to fail anybody.
    pub(crate) fn is_quick(&self) -> bool {
        self.quick
    }

    pub(crate) fn span(&self) -> Duration {
        Duration::from_secs_f64(if self.quick { self.seconds.min(2.0) } else { self.seconds.clamp(0.1, 600.0) })
    }
}
