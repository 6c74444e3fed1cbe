//! One HTTP/2 connection to an Edge. It is never reconnected: a new one is a new `Transport`.
//!
//! Dropping it cuts it; [`Transport::close`] lets the peer see an orderly end.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use hyper::{body::Incoming, client::conn::http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use postern_proto::limits::FLOW_CONTROL_WINDOW;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::JoinSet,
    time::timeout,
};
use tonic::body::Body;

pub(crate) use tap::tls_cause;
use tap::{Tap, Wire};

mod tap;
pub(crate) mod tcp;

/// An idle peer is asked this often whether it is there: a stock Edge knows no other probe.
const PING_INTERVAL: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// For the last frames to be written.
const CLOSE_MAX: Duration = Duration::from_millis(500);

/// The connection and the tasks that drive it.
#[derive(Debug)]
pub(crate) struct Transport {
    sender: http2::SendRequest<Body>,
    running: Running,
    wire: Arc<Wire>,
}

/// Sends calls over a [`Transport`].
#[derive(Debug, Clone)]
pub(crate) struct Channel {
    sender: http2::SendRequest<Body>,
}

/// The connection failed, as opposed to the peer refusing a call.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct TransportError(hyper::Error);

impl Transport {
    pub(crate) async fn open<IO>(io: IO) -> Result<Self, TransportError>
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let wire = Arc::new(Wire::default());
        let tasks = Tasks::default();
        let (sender, connection) = http2::Builder::new(tasks.clone())
            .timer(TokioTimer::new())
            .initial_stream_window_size(FLOW_CONTROL_WINDOW)
            .initial_connection_window_size(FLOW_CONTROL_WINDOW)
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .keep_alive_while_idle(true)
            .handshake(TokioIo::new(Tap::new(io, Arc::clone(&wire))))
            .await
            .map_err(TransportError)?;
        tasks.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "the connection to an Edge ended");
            }
        });
        Ok(Self { sender, running: Running(tasks), wire })
    }

    pub(crate) fn channel(&self) -> Channel {
        Channel { sender: self.sender.clone() }
    }

    /// What was seen below HTTP/2.
    pub(crate) fn wire(&self) -> &Wire {
        &self.wire
    }

    /// Ends the connection once nothing uses it any more, within a short time.
    pub(crate) async fn close(self) {
        drop(self.sender);
        let mut tasks = self.running.0.take();
        let all_ended = async { while tasks.join_next().await.is_some() {} };
        if timeout(CLOSE_MAX, all_ended).await.is_err() {
            tracing::debug!("the connection to an Edge was cut");
        }
    }
}

impl tower::Service<http::Request<Body>> for Channel {
    type Response = http::Response<Incoming>;
    type Error = TransportError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, TransportError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.sender.poll_ready(context).map_err(TransportError)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let reply = self.sender.send_request(request);
        Box::pin(async move { reply.await.map_err(TransportError) })
    }
}

/// The tasks of a connection, which hold a way to start more and so would keep themselves alive.
#[derive(Debug)]
struct Running(Tasks);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.take().abort_all();
    }
}

/// Starts what hyper needs for one connection.
#[derive(Debug, Clone, Default)]
struct Tasks(Arc<Mutex<JoinSet<()>>>);

impl Tasks {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).spawn(task);
    }

    fn take(&self) -> JoinSet<()> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, future: F) {
        self.spawn(async move {
            future.await;
        });
    }
}
