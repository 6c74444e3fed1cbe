//! `GET /metrics` for Prometheus, on a listener of its own that is not public.

use std::{convert::Infallible, future::ready, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    http::{Method, Request, StatusCode},
    response::{IntoResponse as _, Response},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::{
    net::TcpListener,
    sync::Semaphore,
    time::{MissedTickBehavior, interval},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::listener::HEADER_TIMEOUT;
use crate::{listen, tunnel::registry::TunnelRegistry};

/// A scraper needs one; some more for people.
const CONNECTIONS_MAX: usize = 16;
/// Histograms gather samples until they are read or this much time has passed.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub struct MetricsListener {
    socket: TcpListener,
}

/// What is read: counters and histograms from the recorder, and the registry's gauges as of now.
#[derive(Clone)]
struct Page {
    recorded: PrometheusHandle,
    registry: TunnelRegistry,
}

impl MetricsListener {
    /// # Errors
    /// When the address cannot be had.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        Ok(Self { socket: listen::bind(address, CONNECTIONS_MAX as i32)? })
    }

    /// Serves until told to stop; nobody waits for a scrape that is under way.
    pub async fn run(self, recorded: PrometheusHandle, registry: TunnelRegistry, stop: CancellationToken) {
        let page = Page { recorded, registry };
        let connections = TaskTracker::new();
        tokio::select! {
            () = stop.cancelled() => {}
            never = self.serve(&page, &connections, &stop) => match never {},
            never = upkeep(&page.recorded) => match never {},
        }
        connections.close();
        connections.wait().await;
    }

    async fn serve(&self, page: &Page, connections: &TaskTracker, stop: &CancellationToken) -> Infallible {
        let seats = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let seat = Arc::clone(&seats).acquire_owned().await.expect("the semaphore is never closed");
            let (stream, _) = listen::accept(&self.socket).await;
            let page = page.clone();
            let service = service_fn(move |request| ready(Ok::<_, Infallible>(page.answer(&request))));
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .serve_connection(TokioIo::new(stream), service);
            let stop = stop.clone();
            connections.spawn(async move {
                if let Some(Err(error)) = stop.run_until_cancelled(connection).await {
                    tracing::debug!(%error, "a connection for metrics ended early");
                }
                drop(seat);
            });
        }
    }
}

impl Page {
    fn answer(&self, request: &Request<Incoming>) -> Response {
        match (request.method(), request.uri().path()) {
            (&Method::GET, "/metrics") => {
                self.registry.measure();
                self.recorded.render().into_response()
            }
            (_, "/metrics") => StatusCode::METHOD_NOT_ALLOWED.into_response(),
            _ => StatusCode::NOT_FOUND.into_response(),
        }
    }
}

async fn upkeep(recorded: &PrometheusHandle) -> Infallible {
    let mut ticks = interval(UPKEEP_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        recorded.run_upkeep();
    }
}
