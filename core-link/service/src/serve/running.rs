//! The parts of Core that run side by side, and the order in which they end.
//!
//! Commands are taken, and metrics told, until the last request is answered: whoever watches a Core that drains sees it.
//! The socket is gone before the store is closed, since a command that finds no socket waits for the store itself.

use std::{error::Error, sync::Arc, time::Duration};

use postern_core_link::{LinkState, Supervisor};
use tokio::{
    task::{JoinError, JoinSet},
    time::{Instant, MissedTickBehavior, interval, interval_at, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{Following, Installation, ServeError, dispatcher, start_supervisor};
use crate::{
    config::Config,
    control::{Commands, ControlListener},
    edges::Reach,
    mail::Outbox,
    mfa::approval,
    telemetry::{MetricsListener, Recorder},
};

/// How often it is looked whether an Edge that was sent its identity has taken it.
const CONFIRM_INTERVAL: Duration = Duration::from_secs(2);

/// How often it is looked whether the certificate of the Edges ends soon, and how long after a start: by then Edges
/// are connected to order through.
const RENEWAL_LOOK_INTERVAL: Duration = Duration::from_secs(60 * 60);
const RENEWAL_LOOK_FIRST: Duration = Duration::from_secs(60);

pub(super) struct Running {
    supervisor: Supervisor,
    /// They end with the links.
    tasks: JoinSet<()>,
    drain: CancellationToken,
    /// What an administrator sees of Core. It ends after the links.
    shown: JoinSet<()>,
    end: CancellationToken,
    grace: Duration,
}

impl Running {
    pub(super) async fn start(
        config: &Config,
        installation: &Installation,
        recorder: Recorder,
    ) -> Result<Self, ServeError> {
        let control = ControlListener::bind(&config.socket).await?;
        let metrics = MetricsListener::bind(config.metrics_listen)
            .await
            .map_err(|source| ServeError::Metrics { address: config.metrics_listen, source })?;
        let dispatcher = dispatcher(config, installation);
        let approvals = dispatcher.approvals();
        let supervisor = start_supervisor(config, installation, dispatcher).await?;
        let commands = Arc::new(Commands::new(installation, Reach::Running(supervisor.clone())));
        commands.edges().start_links().await?;

        let (drain, end) = (CancellationToken::new(), CancellationToken::new());
        let mut tasks = JoinSet::new();
        tasks.spawn(approval::watch(installation.store.clone(), approvals, drain.clone()));
        let following = Following {
            store: installation.store.clone(),
            supervisor: supervisor.clone(),
            edges: Arc::clone(commands.edges()),
            certificates: Arc::clone(commands.certificates()),
        };
        following.start(&mut tasks, &drain);
        if let Some(mailer) = &installation.mailer {
            tasks.spawn(Outbox::new(installation.store.clone(), Arc::clone(mailer)).run(drain.clone()));
        }
        if let Some(openid) = installation.openid.clone() {
            let drain = drain.clone();
            tasks.spawn(async move { openid.run(drain).await });
        }
        tasks.spawn(confirm_adoptions(commands.clone(), drain.clone()));
        tasks.spawn(renew_certificate(commands.clone(), drain.clone()));

        let mut shown = JoinSet::new();
        shown.spawn(control.run(commands, end.clone()));
        let watched = supervisor.clone();
        shown.spawn(metrics.run(recorder, move || set_gauges(&watched), end.clone()));
        Ok(Self { supervisor, tasks, drain, shown, end, grace: config.grace })
    }

    /// Returns when a part has ended that nobody told to.
    pub(super) async fn task_ended(&mut self) {
        let ended = tokio::select! {
            Some(ended) = self.tasks.join_next() => ended,
            Some(ended) = self.shown.join_next() => ended,
            else => return,
        };
        log_failure(ended);
    }

    /// No new links; Edges are told; requests in flight are answered, and the tunnels end. Then no new commands; those
    /// that run are answered.
    pub(super) async fn stop(mut self) {
        let ending = async {
            self.drain.cancel();
            tokio::join!(self.supervisor.shutdown(), join_all(&mut self.tasks));
            self.end.cancel();
            join_all(&mut self.shown).await;
        };
        if timeout(self.grace, ending).await.is_err() {
            let parts = self.tasks.len() + self.shown.len();
            tracing::warn!(parts, "what was in flight was cut off after the grace limit");
            self.tasks.shutdown().await;
            self.shown.shutdown().await;
        }
    }
}

async fn join_all(tasks: &mut JoinSet<()>) {
    while let Some(ended) = tasks.join_next().await {
        log_failure(ended);
    }
}

async fn confirm_adoptions(commands: Arc<Commands>, drain: CancellationToken) {
    let mut ticks = interval(CONFIRM_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = drain.cancelled() => return,
            _ = ticks.tick() => {
                if let Err(error) = commands.edges().confirm_connected().await {
                    tracing::warn!(error = &error as &dyn Error, "cannot note that an Edge was adopted");
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
                    tracing::warn!(error = &error as &dyn Error, "cannot renew the certificate of the Edges");
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

fn log_failure(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a part of Core failed");
    }
}
