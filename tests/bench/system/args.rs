//! The command line: of a person, and of this program when it starts itself as the load.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// Loads the whole system: NGINX, two Edges, Core and its database.
#[derive(Debug, clap::Parser)]
pub(crate) struct Args {
    /// People with a device and an authenticator app in the larger store.
    #[arg(long, default_value_t = 50_000)]
    people: usize,
    /// What the stores are on.
    #[arg(long, default_value = "sqlite")]
    pub(crate) database: Kind,
    /// Cores that share a Postgres.
    #[arg(long, default_value_t = 1)]
    pub(crate) cores: usize,
    /// Polls and logins on SQLite, on Postgres, and on Postgres with two Cores, in turn.
    #[arg(long)]
    pub(crate) compare: bool,
    /// Rounds of each load; the figures are medians over them.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of each load in a round.
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// 2,000 people, two rounds of two seconds, and no verdict.
    #[arg(long)]
    quick: bool,
    /// Set by cargo.
    #[arg(long, hide = true)]
    pub(crate) bench: bool,
    /// Set by test runners that look for tests.
    #[arg(long, hide = true)]
    list: bool,
    #[command(subcommand)]
    pub(crate) role: Option<Role>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
}

/// What a child process of the bench does.
#[derive(Debug, clap::Subcommand)]
#[command(disable_help_subcommand = true)]
pub(crate) enum Role {
    #[command(hide = true)]
    Load(LoadOptions),
}

/// Who sends what where.
#[derive(Debug, clap::Args)]
pub(crate) struct LoadOptions {
    #[arg(long)]
    pub(crate) address: SocketAddr,
    #[arg(long)]
    pub(crate) task: Task,
    /// A line for each visitor, as [`crate::visitors`] writes it.
    #[arg(long)]
    pub(crate) visitors: PathBuf,
    /// The first line that this load takes.
    #[arg(long)]
    pub(crate) first: usize,
    /// How many lines it takes.
    #[arg(long)]
    pub(crate) count: usize,
    #[arg(long)]
    pub(crate) millis: u64,
}

/// What each visitor of a load wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Task {
    /// Again and again.
    Poll,
    /// Once.
    LogIn,
    /// Once.
    Enroll,
}

impl Task {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Poll => "poll",
            Self::LogIn => "log-in",
            Self::Enroll => "enroll",
        }
    }
}

impl Args {
    pub(crate) fn people(&self) -> usize {
        if self.quick { self.people.min(2000) } else { self.people.max(1) }
    }

    pub(crate) fn rounds(&self) -> usize {
        if self.quick { self.rounds.min(2) } else { self.rounds.max(1) }
    }

    /// Too short to fail anybody.
    pub(crate) fn is_quick(&self) -> bool {
        self.quick
    }

    pub(crate) fn millis(&self) -> u64 {
        self.span().as_millis().try_into().unwrap_or(u64::MAX)
    }

    pub(crate) fn span(&self) -> Duration {
        Duration::from_secs_f64(if self.quick { self.seconds.min(2.0) } else { self.seconds.clamp(0.1, 60.0) })
    }
}
