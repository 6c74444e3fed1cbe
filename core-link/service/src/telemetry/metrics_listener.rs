//! `GET /metrics` for Prometheus.
//!
//! Loopback only (the configuration refuses anything else), one small answer for each connection, nothing secret.

use std::{convert::Infallible, io, net::SocketAddr, time::Duration};

use http_body_util::Full;
use hyper::{Method, Request, Response, StatusCode, body::Bytes, header, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

/// Scrapers at the same time; more wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 16;

/// A scraper that has not been served by then is cut off.
const CONNECTION_MAX: Duration = Duration::from_secs(10);

/// A port of the range for outgoing connections may be held by one of those, and is free again in a moment.
const TAKEN_MAX: Duration = Duration::from_secs(5);
const TAKEN_PAUSE: Duration = Duration::from_millis(100);

/// Histograms are folded this often, whether or not anybody reads them.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Edges of the buckets, in seconds: from a query to the budget of a request.
const DURATIONS: [f64; 10] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 4.0];

/// Numbers of this process.
#[derive(Debug, Clone)]
pub struct Recorder(PrometheusHandle);

/// The socket on which they are read.
#[derive(Debug)]
pub struct MetricsListener {
    listener: TcpListener,
}

impl Recorder {
    /// Collects the numbers of the whole process from now on.
    ///
    /// # Errors
    /// When something already does.
    pub fn install() -> Result<Self, BuildError> {
        let durations = Matcher::Suffix("_seconds".to_owned());
        PrometheusBuilder::new().set_buckets_for_metric(durations, &DURATIONS)?.install_recorder().map(Self)
    }
}

impl MetricsListener {
    /// # Errors
    /// When the address cannot be bound, or is taken and stays so for a few seconds.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let until = Instant::now() + TAKEN_MAX;
        let mut is_told = false;
        loop {
            match TcpListener::bind(address).await {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < until => {
                    if !std::mem::replace(&mut is_told, true) {
                        tracing::warn!(%address, "taken by somebody else: trying again for at most {TAKEN_MAX:?}");
                    }
                    sleep(TAKEN_PAUSE).await;
                }
                bound => return bound.map(|listener| Self { listener }),
            }
        }
    }

    /// Serves until `drain`. `refresh` is called before each reading, to set gauges.
    pub async fn run(self, recorder: Recorder, refresh: impl Fn() + Send + Sync + 'static, drain: CancellationToken) {
        let refresh = std::sync::Arc::new(refresh);
        let mut connections = JoinSet::new();
        let mut upkeep = tokio::time::interval(UPKEEP_INTERVAL);
        loop {
            tokio::select! {
                () = drain.cancelled() => break,
                _ = upkeep.tick() => recorder.0.run_upkeep(),
                Some(_) = connections.join_next() => {}
                accepted = self.listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                    Ok((stream, _)) => {
                        let (recorder, refresh) = (recorder.clone(), refresh.clone());
                        connections.spawn(serve_connection(stream, move || {
                            refresh();
                            recorder.0.render()
                        }));
                    }
                    Err(error) => {
                        tracing::debug!(%error, "cannot accept a connection for metrics");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
            }
        }
        connections.shutdown().await;
    }
}

async fn serve_connection(stream: TcpStream, render: impl Fn() -> String) {
    let service = service_fn(|request| std::future::ready(Ok::<_, Infallible>(answer(&request, &render))));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(5))
        .max_buf_size(16 * 1024)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    match tokio::time::timeout(CONNECTION_MAX, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a connection for metrics failed"),
        Err(_) => tracing::debug!("a connection for metrics took too long"),
    }
}

fn answer<B>(request: &Request<B>, render: &impl Fn() -> String) -> Response<Full<Bytes>> {
    let (status, body) = match (request.method(), request.uri().path()) {
        (&Method::GET, "/metrics") => (StatusCode::OK, render()),
        (_, "/metrics") => (StatusCode::METHOD_NOT_ALLOWED, String::new()),
        _ => (StatusCode::NOT_FOUND, String::new()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let text = header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    response
}
