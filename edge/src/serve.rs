//! Puts an Edge together, runs it, and takes it apart again in the right order.
//!
//! First nothing new is accepted, then what is in flight is answered while the tunnels are still up, then the tunnels
//! close; all within the grace limit. A part that ends unasked ends the whole, with an error.

use std::{io, net::SocketAddr, time::Duration};

use metrics_exporter_prometheus::PrometheusHandle;
use postern_proto::{
    limits::APPROVAL_BUDGET,
    version::{ANNOUNCED, Zone},
};
use tokio::{
    task::{JoinError, JoinHandle, JoinSet},
    time::{Instant, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    acme::{self, Acme, AcmeConfig, Challenges, RootsError},
    adoption::AdoptionPolicy,
    certificate::Certificates,
    config::Settings,
    core_client::CoreClient,
    drain::Drain,
    http::{
        Front, Parts, TrustedProxies,
        listener::{ConnectionLimits, HEADER_TIMEOUT, HttpListener},
        metrics::MetricsListener,
        remote_mfa::{PING_INTERVAL, WebsocketLimits, Websockets},
    },
    identity::{IdentityError, IdentityStore},
    listen, systemd,
    tunnel::{
        listener::{TunnelListener, TunnelListenerConfig},
        port,
        push::SessionKeys,
        registry::TunnelRegistry,
    },
};

/// Why an Edge does not start, or ended unasked.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("the identity cannot be used")]
    Identity(#[from] IdentityError),
    #[error("cannot listen on {address} for {purpose}")]
    Listen {
        address: SocketAddr,
        purpose: &'static str,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    AcmeRoots(#[from] RootsError),
    #[error("the {part} ended unasked")]
    Ended { part: &'static str },
    #[error("the {part} failed")]
    Failed {
        part: &'static str,
        #[source]
        source: JoinError,
    },
}

/// Serves until the drain begins and everything is finished, or the grace limit is over.
///
/// # Errors
/// [`ServeError`]. What was begun is drained first.
pub async fn run(settings: Settings, metrics: PrometheusHandle, drain: Drain) -> Result<(), ServeError> {
    let grace = settings.grace;
    let mut alive = JoinSet::new();
    alive.spawn(systemd::keep_alive());
    let mut edge = tokio::select! {
        biased;
        started = Edge::start(settings, metrics, drain.clone()) => started?,
        // While it waited for a port.
        _ = drain.begun() => return Ok(()),
    };
    systemd::ready();
    let outcome = tokio::select! {
        _ = drain.begun() => Ok(()),
        error = edge.ended_unasked() => {
            // A part that was told to stop may be done before the order is heard here.
            let is_asked = matches!(error, ServeError::Ended { .. }) && drain.has_begun();
            if is_asked { Ok(()) } else { Err(error) }
        }
    };
    drain.begin();
    systemd::stopping();
    tracing::info!(in_flight = edge.registry.in_flight(), "stopping");
    let finished = edge.finish(grace).await;
    outcome.and(finished)
}

/// The running parts, each in a task of its own.
struct Edge {
    registry: TunnelRegistry,
    http: Part,
    tunnel: Part,
    metrics: Part,
    tunnel_stop: CancellationToken,
    metrics_stop: CancellationToken,
}

impl Edge {
    async fn start(settings: Settings, metrics: PrometheusHandle, drain: Drain) -> Result<Self, ServeError> {
        listen::make_room_for(u64::from(settings.connections_max.get()) + u64::from(settings.websockets_max.get()));
        let identity = IdentityStore::open(&settings.identity_dir)?;
        let until = Instant::now() + listen::TAKEN_MAX;
        let http = bind("HTTP", settings.http_listen, until, HttpListener::bind).await?;
        let shared = Shared::new(settings.zone.clone());
        let (acme, guests) = Acme::new(acme_config(&settings)?, shared.challenges.clone());
        let http = http.with_https(settings.https_listen, shared.certificates.clone()).with_guests(guests);
        let scraped = bind("metrics", settings.metrics_listen, until, MetricsListener::bind).await?;
        let registry = shared.registry.clone();
        let tunnel = TunnelListener::new(TunnelListenerConfig {
            port: bind("Core", settings.tunnel_listen, until, port::bind).await?,
            identity,
            adoption: AdoptionPolicy { from: settings.adoption_from.clone(), window: settings.adoption_window },
            registry: registry.clone(),
            acme,
            certificates: shared.certificates.clone(),
        });
        tracing::info!(
            http = %settings.http_listen,
            tunnel = %settings.tunnel_listen,
            metrics = %settings.metrics_listen,
            version = ANNOUNCED,
            "started"
        );
        let limits = ConnectionLimits {
            connections_max: settings.connections_max,
            connections_max_per_address: settings.connections_max_per_address,
            header_timeout: HEADER_TIMEOUT,
        };
        let drain_delay = settings.drain_delay;
        let front = Front::new(parts(settings, shared, drain));
        let (tunnel_stop, metrics_stop) = (CancellationToken::new(), CancellationToken::new());
        let tasks = TaskTracker::new();
        Ok(Self {
            http: Part::new("HTTP side", tasks.spawn(http.run(front, limits, drain_delay))),
            tunnel: Part::new("tunnel side", tasks.spawn(tunnel.run(tunnel_stop.clone()))),
            metrics: Part::new(
                "metrics listener",
                tasks.spawn(scraped.run(metrics, registry.clone(), metrics_stop.clone())),
            ),
            registry,
            tunnel_stop,
            metrics_stop,
        })
    }

    async fn ended_unasked(&mut self) -> ServeError {
        let (part, ended) = tokio::select! {
            ended = self.http.ended() => (self.http.name, ended),
            ended = self.tunnel.ended() => (self.tunnel.name, ended),
            ended = self.metrics.ended() => (self.metrics.name, ended),
        };
        ended.err().unwrap_or(ServeError::Ended { part })
    }

    async fn finish(mut self, grace: Duration) -> Result<(), ServeError> {
        self.registry.announce_leaving();
        let finish = async {
            let http = self.http.ended().await;
            self.tunnel_stop.cancel();
            let tunnel = self.tunnel.ended().await;
            self.metrics_stop.cancel();
            let metrics = self.metrics.ended().await;
            http.and(tunnel).and(metrics)
        };
        let finished = timeout(grace, finish).await;
        match finished {
            Ok(finished) => finished,
            Err(_) => {
                let in_flight = self.registry.in_flight();
                tracing::warn!(in_flight, "the grace limit is over: what is left is cut off");
                Ok(())
            }
        }
    }
}

/// What the HTTP side and the tunnel side both know.
struct Shared {
    session_keys: SessionKeys,
    registry: TunnelRegistry,
    certificates: Certificates,
    challenges: Challenges,
}

impl Shared {
    fn new(zone: Option<Zone>) -> Self {
        let session_keys = SessionKeys::default();
        let registry = TunnelRegistry::in_zone(session_keys.clone(), zone);
        Self { session_keys, registry, certificates: Certificates::default(), challenges: Challenges::default() }
    }
}

/// A task, awaited at most once.
struct Part {
    name: &'static str,
    task: Option<JoinHandle<()>>,
}

impl Part {
    fn new(name: &'static str, task: JoinHandle<()>) -> Self {
        Self { name, task: Some(task) }
    }

    async fn ended(&mut self) -> Result<(), ServeError> {
        let Some(task) = &mut self.task else { return Ok(()) };
        let ended = task.await;
        self.task = None;
        ended.map_err(|source| ServeError::Failed { part: self.name, source })
    }
}

fn parts(settings: Settings, shared: Shared, drain: Drain) -> Parts {
    Parts {
        core: CoreClient::new(shared.registry.clone()),
        registry: shared.registry,
        session_keys: shared.session_keys,
        trusted_proxies: TrustedProxies::new(settings.trusted_proxies),
        public_url: settings.public_url,
        public_origin: settings.public_origin,
        exposed_name: settings.expose_name.then_some(settings.name),
        websockets: Websockets::new(WebsocketLimits {
            websockets_max: settings.websockets_max,
            websockets_max_per_address: settings.websockets_max_per_address,
            lifetime: APPROVAL_BUDGET,
            ping_interval: PING_INTERVAL,
            grace: settings.grace,
        }),
        certificates: shared.certificates,
        challenges: shared.challenges,
        drain,
    }
}

fn acme_config(settings: &Settings) -> Result<AcmeConfig, ServeError> {
    Ok(AcmeConfig {
        allowed: settings.acme_allowed,
        directory: settings.acme_directory.clone(),
        roots: acme::roots(settings.acme_ca_file.as_deref())?,
        listen: settings.acme_listen,
        http_listen: settings.http_listen,
    })
}

async fn bind<T>(
    purpose: &'static str,
    address: SocketAddr,
    until: Instant,
    bind: impl Fn(SocketAddr) -> io::Result<T>,
) -> Result<T, ServeError> {
    let bound = listen::patiently(address, until, bind).await;
    bound.map_err(|source| ServeError::Listen { address, purpose, source })
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;
    use crate::config;

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn what_is_told_to_stop_has_not_ended_unasked() {
        let folder = tempfile::tempdir().unwrap();
        let identity = folder.path().join("identity");
        for _ in 0..200 {
            let ports =
                ["--http-listen", "--tunnel-listen", "--metrics-listen"].map(|name| format!("{name}=127.0.0.1:0"));
            let identity = format!("--identity-dir={}", identity.display());
            let arguments = ["postern-edge".to_owned(), identity].into_iter().chain(ports).map(Into::into);
            let settings = config::parse(arguments, []).unwrap().settings;
            let metrics = PrometheusBuilder::new().build_recorder().handle();
            let drain = Drain::default();
            let running = JoinSet::from_iter([run(settings, metrics, drain.clone())]);
            tokio::task::yield_now().await;
            drain.begin();
            let ended = running.join_all().await;
            assert!(matches!(ended[..], [Ok(())]), "{ended:?}");
        }
    }
}
