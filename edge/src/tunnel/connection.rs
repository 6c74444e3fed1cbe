//! One accepted connection: HTTP/2, and everything that runs on it, in one task.
//!
//! hyper wants to spawn a task for each stream; here those futures run inside the connection's own
//! task. So a request costs one wake-up and not three, and dropping the connection drops all it held.

use std::{
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use futures::{Stream as _, stream::FuturesUnordered};
use hyper::{
    rt::Executor,
    server::conn::http2::{self, Builder},
};
use hyper_util::rt::{TokioIo, TokioTimer};
use postern_proto::limits::FLOW_CONTROL_WINDOW;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::yield_now,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::gate::Gate;

/// Core has one tunnel and now and then a call beside it.
const STREAMS_MAX: u32 = 16;
const HEADERS_MAX: u32 = 16 * 1024;
const PING_INTERVAL: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// From the handshake to the first call that is let through.
pub(super) const PROBATION: Duration = Duration::from_secs(5);
/// For the last replies and the goodbye of HTTP/2, once the connection is to end.
const FAREWELL: Duration = Duration::from_secs(2);

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Futures that belong to one connection and run in its task.
#[derive(Clone, Default)]
pub(super) struct Tasks {
    added: Arc<Mutex<Vec<Task>>>,
}

impl Tasks {
    pub(super) fn add(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.lock().push(Box::pin(task));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Task>> {
        self.added.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Tasks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tasks")
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Tasks {
    fn execute(&self, task: F) {
        self.add(task);
    }
}

/// Serves a connection until the peer leaves, `end` asks for it, or nobody passed the gate in time.
pub(super) async fn serve<I>(io: I, gate: Gate, tasks: Tasks, passed: CancellationToken, end: CancellationToken)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let http = builder(tasks.clone()).serve_connection(TokioIo::new(io), gate);
    let mut connection = Connection { http, tasks, running: FuturesUnordered::new(), yielded: false };
    let on_probation = async {
        if timeout(PROBATION, passed.cancelled()).await.is_ok() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        biased;
        () = &mut connection => return,
        () = on_probation => return,
        () = end.cancelled() => {}
    }
    Pin::new(&mut connection.http).graceful_shutdown();
    if timeout(FAREWELL, connection).await.is_err() {
        tracing::debug!("a connection did not end in time and was cut");
    }
}

fn builder(tasks: Tasks) -> Builder<Tasks> {
    let mut builder = Builder::new(tasks);
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(FLOW_CONTROL_WINDOW)
        .initial_connection_window_size(FLOW_CONTROL_WINDOW)
        .max_send_buf_size(FLOW_CONTROL_WINDOW as usize)
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADERS_MAX)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

struct Connection<I>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    http: http2::Connection<TokioIo<I>, Gate, Tasks>,
    tasks: Tasks,
    running: FuturesUnordered<Task>,
    /// Others were let go first since the last turn.
    yielded: bool,
}

impl<I> Future for Connection<I>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // Whoever else is ready goes first: what they send then leaves in one write, and what has
        // arrived meanwhile is taken in one read.
        self.yielded = !self.yielded;
        if self.yielded {
            return pin!(yield_now()).poll(cx);
        }
        loop {
            while let Poll::Ready(Some(())) = Pin::new(&mut self.running).poll_next(cx) {}
            let done = Pin::new(&mut self.http).poll(cx);
            if let Poll::Ready(outcome) = done {
                if let Err(error) = outcome {
                    tracing::debug!(error = &error as &dyn std::error::Error, "a connection ended");
                }
                return Poll::Ready(());
            }
            let added = std::mem::take(&mut *self.tasks.lock());
            if added.is_empty() {
                return Poll::Pending;
            }
            self.running.extend(added);
        }
    }
}
