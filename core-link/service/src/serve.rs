//! A running Core, from its start to its end.
//!
//! It listens on its Unix socket and on loopback for metrics, and on nothing else: every connection to an Edge is
//! one that it opened.

mod following;
mod installation;
mod master_key;
mod running;
mod signals;
mod systemd;

use std::{io, net::SocketAddr, time::Duration};

use metrics_exporter_prometheus::BuildError;
use postern_core_link::{GreetingError, Limits, Supervisor, SupervisorConfig};
use tokio::{task::JoinSet, time::timeout};

pub use following::Following;
pub use installation::{Installation, InstallationError};

use crate::{
    certificate,
    config::Config,
    control::{BindError, LockError, StoreLock},
    dispatch::{self, Dispatcher},
    edges::EdgeError,
    password::Passwords,
    session_keys,
    store::{Address, StoreError},
    telemetry::Recorder,
};
use running::Running;
use signals::Signals;

/// A command that found no Core, because this one had not started, has the store for a moment.
const STORE_PATIENCE: Duration = Duration::from_secs(3);

/// Changes that are still queued take milliseconds, unless the disk is in trouble.
const CLOSING_MAX: Duration = Duration::from_secs(5);

/// Why a Core did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("cannot listen for signals")]
    Signals(#[source] io::Error),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Installation(#[from] InstallationError),
    #[error(transparent)]
    Socket(#[from] BindError),
    #[error("cannot listen on {address} for metrics")]
    Metrics { address: SocketAddr, source: io::Error },
    #[error("cannot collect metrics")]
    Recorder(#[from] BuildError),
    #[error("cannot read the session keys")]
    SessionKeys(#[from] StoreError),
    #[error("the session keys cannot be sent")]
    Greeting(#[from] GreetingError),
    #[error(transparent)]
    Edges(#[from] EdgeError),
    #[error("a part of Core ended unasked; the log says why")]
    TaskEnded,
    #[error("a second signal cut short what was in flight")]
    CutOff,
    #[error("the store did not close in time; changes that nobody was told of may be missing")]
    StoreHangs,
}

/// Serves until told to stop, or until a part fails.
///
/// # Errors
/// [`ServeError`]
pub async fn run(config: Config) -> Result<(), ServeError> {
    let mut signals = Signals::listen().map_err(ServeError::Signals)?;
    let recorder = Recorder::install()?;
    let mut alive = JoinSet::new();
    alive.spawn(systemd::keep_alive());
    let (_lock, installation) = tokio::select! {
        opened = open(&config) => opened?,
        () = signals.next() => {
            tracing::info!("core was told to stop before it was ready");
            return Ok(());
        }
    };
    let ended = match Running::start(&config, &installation, recorder).await {
        Ok(running) => serve(running, &installation, &mut signals).await,
        Err(error) => Err(error),
    };
    if matches!(ended, Err(ServeError::CutOff)) {
        return ended;
    }
    // What went wrong first is what is told.
    let ended = ended.and(finish(installation.store.close(), signals.next()).await);
    if ended.is_ok() {
        tracing::info!("core has stopped");
    }
    ended
}

async fn open(config: &Config) -> Result<(Option<StoreLock>, Installation), ServeError> {
    let lock = match &config.database {
        Address::File(file) => Some(StoreLock::take_within(file, STORE_PATIENCE).await?),
        Address::Server(_) => None,
    };
    let installation = Installation::open(config).await?;
    // Edges send all they have the moment a tunnel is up.
    installation.store.connect().await;
    Ok((lock, installation))
}

async fn serve(mut running: Running, installation: &Installation, signals: &mut Signals) -> Result<(), ServeError> {
    systemd::ready();
    let (ca_sha256, instance) = (installation.authority.fingerprint(), installation.store.core().as_str());
    tracing::info!(version = env!("CARGO_PKG_VERSION"), ca_sha256, instance, "core is ready");
    let ended = tokio::select! {
        () = signals.next() => Ok(()),
        () = running.task_ended() => Err(ServeError::TaskEnded),
    };
    systemd::stopping();
    tracing::info!("core is stopping");
    tokio::select! {
        biased;
        () = signals.next() => Err(ServeError::CutOff),
        () = running.stop() => ended,
    }
}

/// Closes the store, though not at any price: a disk that hangs must not keep a Core that was told to end.
async fn finish(closing: impl Future<Output = ()>, second_signal: impl Future<Output = ()>) -> Result<(), ServeError> {
    tokio::select! {
        biased;
        () = second_signal => Err(ServeError::CutOff),
        closed = timeout(CLOSING_MAX, closing) => closed.map_err(|_| ServeError::StoreHangs),
    }
}

/// What answers the requests of Edges.
pub fn dispatcher(config: &Config, installation: &Installation) -> Dispatcher {
    let passwords = Passwords::new(config.argon2_parallel);
    let dispatcher = Dispatcher::new(installation.store.clone(), passwords, installation.instance.clone());
    match installation.openid.clone() {
        Some(openid) => dispatcher.with_openid(openid),
        None => dispatcher,
    }
}

/// Ready to dial; [`crate::edges::Edges::start_links`] says whom.
///
/// # Errors
/// When there are no session keys that could be sent.
pub async fn start_supervisor(
    config: &Config,
    installation: &Installation,
    dispatcher: Dispatcher,
) -> Result<Supervisor, ServeError> {
    let greeting = dispatch::greeting(&session_keys::ring(&installation.store).await?)?;
    // Of the whole grace limit, so that tunnels which were cut off still end in order.
    let limits = Limits { drain_max: config.grace * 4 / 5, ..Limits::default() };
    let instance = installation.store.core().clone();
    let instance = match config.zone.clone() {
        Some(zone) => instance.in_zone(zone),
        None => instance,
    };
    let supervisor = SupervisorConfig { instance, greeting, limits };
    let supervisor = Supervisor::start(supervisor, dispatcher);
    supervisor.set_web_certificate(certificate::stored(&installation.store).await?);
    Ok(supervisor)
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_store_that_does_not_close_is_left_behind() {
        assert!(matches!(finish(pending(), pending()).await, Err(ServeError::StoreHangs)));
        assert!(finish(ready(()), pending()).await.is_ok());
    }

    #[tokio::test]
    async fn a_second_signal_waits_for_no_store() {
        assert!(matches!(finish(pending(), ready(())).await, Err(ServeError::CutOff)));
    }
}
