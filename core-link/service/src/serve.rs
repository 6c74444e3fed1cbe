//! A running Core, from its start to its end.
//!
//! It listens on its Unix socket and on loopback for metrics, and on nothing else: every connection to an Edge is
//! one that it opened.

mod installation;
mod signals;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use metrics_exporter_prometheus::BuildError;
use postern_core_link::{CoreInstance, GreetingError, Limits, LinkState, Supervisor, SupervisorConfig};
use tokio::{
    task::{JoinError, JoinSet},
    time::{Instant, MissedTickBehavior, interval, interval_at, timeout},
};
use tokio_util::sync::CancellationToken;

pub use installation::{Installation, InstallationError};

use crate::{
    certificate,
    config::Config,
    control::{BindError, Commands, ControlListener, LockError, StoreLock},
    dispatch::{self, Dispatcher},
    edges::{EdgeError, Reach},
    mail::Outbox,
    password::Passwords,
    session_keys,
    store::StoreError,
    telemetry::{MetricsListener, Recorder},
};
use signals::Signals;

/// How often it is looked whether an Edge that was sent its identity has taken it.
const CONFIRM_INTERVAL: Duration = Duration::from_secs(2);

/// How often it is looked whether the certificate of the Edges ends soon, and how long after a start: by then Edges
/// are connected to order through.
const RENEWAL_LOOK_INTERVAL: Duration = Duration::from_secs(60 * 60);
const RENEWAL_LOOK_FIRST: Duration = Duration::from_secs(60);

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
    let _lock = StoreLock::take_within(&config.database, STORE_PATIENCE).await?;
    let recorder = Recorder::install()?;
    let installation = Installation::open(&config).await?;
    let running = Running::start(&config, &installation, recorder).await;
    let ended = match running {
        Ok(mut running) => {
            notify(&[sd_notify::NotifyState::Ready]);
            let ca_sha256 = installation.authority.fingerprint();
            tracing::info!(version = env!("CARGO_PKG_VERSION"), ca_sha256, "core is ready");
            let ended = tokio::select! {
                () = signals.next() => Ok(()),
                () = running.task_ended() => Err(ServeError::TaskEnded),
            };
            notify(&[sd_notify::NotifyState::Stopping]);
            tracing::info!("core is stopping");
            tokio::select! {
                biased;
                () = signals.next() => return Err(ServeError::CutOff),
                () = running.stop(config.grace) => ended,
            }
        }
        Err(error) => Err(error),
    };
    // What went wrong first is what is told.
    let ended = ended.and(finish(installation.store.close(), signals.next()).await);
    if ended.is_ok() {
        tracing::info!("core has stopped");
    }
    ended
}

/// Closes the store, though not at any price: a disk that hangs must not keep a Core that was told to end.
async fn finish(closing: impl Future<Output = ()>, second_signal: impl Future<Output = ()>) -> Result<(), ServeError> {
    tokio::select! {
        biased;
        () = second_signal => Err(ServeError::CutOff),
        closed = timeout(CLOSING_MAX, closing) => closed.map_err(|_| ServeError::StoreHangs),
    }
}

/// The parts that run side by side.
struct Running {
    supervisor: Supervisor,
    tasks: JoinSet<()>,
    drain: CancellationToken,
}

impl Running {
    async fn start(config: &Config, installation: &Installation, recorder: Recorder) -> Result<Self, ServeError> {
        let control = ControlListener::bind(&config.socket).await?;
        let metrics = MetricsListener::bind(config.metrics_listen)
            .await
            .map_err(|source| ServeError::Metrics { address: config.metrics_listen, source })?;
        let supervisor = start_supervisor(config, installation).await?;
        let commands = Arc::new(Commands::new(installation, Reach::Running(supervisor.clone())));
        commands.edges().start_links().await?;

        let drain = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(control.run(commands.clone(), drain.clone()));
        let watched = supervisor.clone();
        tasks.spawn(metrics.run(recorder, move || set_gauges(&watched), drain.clone()));
        if let Some(mailer) = &installation.mailer {
            tasks.spawn(Outbox::new(installation.store.clone(), Arc::clone(mailer)).run(drain.clone()));
        }
        if let Some(openid) = installation.openid.clone() {
            let drain = drain.clone();
            tasks.spawn(async move { openid.run(drain).await });
        }
        tasks.spawn(confirm_adoptions(commands.clone(), drain.clone()));
        tasks.spawn(renew_certificate(commands, drain.clone()));
        Ok(Self { supervisor, tasks, drain })
    }

    /// Returns when a part has ended that nobody told to.
    async fn task_ended(&mut self) {
        if let Some(Err(error)) = self.tasks.join_next().await {
            log_failure(&error);
        }
    }

    /// No new commands; requests in flight are answered; then the tunnels end.
    async fn stop(mut self, grace: Duration) {
        self.drain.cancel();
        let joined = timeout(grace, async {
            while let Some(ended) = self.tasks.join_next().await {
                if let Err(error) = ended {
                    log_failure(&error);
                }
            }
        });
        let ((), joined) = tokio::join!(self.supervisor.shutdown(), joined);
        if joined.is_err() {
            tracing::warn!(tasks = self.tasks.len(), "commands were cut off after the grace limit");
            self.tasks.shutdown().await;
        }
    }
}

/// Ready to dial; [`crate::edges::Edges::start_links`] says whom.
///
/// # Errors
/// When there are no session keys that could be sent.
pub async fn start_supervisor(config: &Config, installation: &Installation) -> Result<Supervisor, ServeError> {
    let greeting = dispatch::greeting(&session_keys::ring(&installation.store).await?)?;
    let limits = Limits { drain_max: config.grace, ..Limits::default() };
    let supervisor = SupervisorConfig { instance: CoreInstance::random(), greeting, limits };
    let passwords = Passwords::new(config.argon2_parallel);
    let dispatcher = Dispatcher::new(installation.store.clone(), passwords, installation.instance.clone());
    let dispatcher = match installation.openid.clone() {
        Some(openid) => dispatcher.with_openid(openid),
        None => dispatcher,
    };
    let supervisor = Supervisor::start(supervisor, dispatcher);
    supervisor.set_web_certificate(certificate::stored(&installation.store).await?);
    Ok(supervisor)
}

async fn confirm_adoptions(commands: Arc<Commands>, drain: CancellationToken) {
    let mut ticks = interval(CONFIRM_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = drain.cancelled() => return,
            _ = ticks.tick() => {
                if let Err(error) = commands.edges().confirm_connected().await {
                    tracing::warn!(error = &error as &dyn std::error::Error, "cannot note that an Edge was adopted");
                }
            }
        }
    }
}

async fn renew_certificate(commands: Arc<Commands>, drain: CancellationToken) {
    let mut ticks = interval_at(Instant::now() + RENEWAL_LOOK_FIRST, RENEWAL_LOOK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = drain.cancelled() => return,
            _ = ticks.tick() => {
                let Some(renewed) = drain.run_until_cancelled(commands.renew_certificate()).await else { return };
                if let Err(error) = renewed {
                    tracing::warn!(error = &error as &dyn std::error::Error, "cannot renew the certificate of the Edges");
                }
            }
        }
    }
}

fn set_gauges(supervisor: &Supervisor) {
    let statuses = supervisor.statuses();
    let connected = statuses.iter().filter(|status| matches!(status.state, LinkState::Connected { .. })).count();
    let in_flight: usize = statuses.iter().map(|status| status.in_flight).sum();
    metrics::gauge!("postern_core_edges_enabled").set(statuses.len() as f64);
    metrics::gauge!("postern_core_edges_connected").set(connected as f64);
    metrics::gauge!("postern_core_requests_in_flight").set(in_flight as f64);
}

fn log_failure(error: &JoinError) {
    tracing::error!(%error, "a part of Core failed");
}

/// Without systemd this does nothing; with it, a failure to tell it is worth no more than a line.
fn notify(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "cannot tell systemd");
    }
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
