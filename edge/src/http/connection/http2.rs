//! HTTP/2 over TLS, for browsers that come to this Edge directly.
//!
//! hyper wants a task for each request; they belong to the listener's tracker, which waits for them.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::http::Request;
use hyper::{
    body::Incoming,
    rt::Executor,
    server::conn::http2,
    service::{Service as _, service_fn},
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::task::TaskTracker;

use super::Serving;

/// A page and its parts; a person does not do more at a time.
const STREAMS_MAX: u32 = 32;
const HEADERS_MAX: u32 = 16 * 1024;
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Clone)]
struct Tracked(TaskTracker);

impl<F> Executor<F> for Tracked
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, future: F) {
        drop(self.0.spawn(future));
    }
}

/// Requests of one connection: how many run, and how many came. HTTP/2 has no pause between two heads that a timer
/// could limit, so an idle connection is found by looking.
#[derive(Default)]
struct Activity {
    running: AtomicUsize,
    begun: AtomicUsize,
}

impl Activity {
    fn begin(self: &Arc<Self>) -> Running {
        self.running.fetch_add(1, Ordering::Relaxed);
        self.begun.fetch_add(1, Ordering::Relaxed);
        Running(Arc::clone(self))
    }
}

struct Running(Arc<Activity>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(super) async fn serve<I>(io: I, serving: &Serving, tasks: TaskTracker)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Arc::new(Activity::default());
    let (service, seen) = (serving.service(), Arc::clone(&activity));
    let counted = service_fn(move |request: Request<Incoming>| {
        let (running, answered) = (seen.begin(), service.call(request));
        async move {
            let answer = answered.await;
            drop(running);
            answer
        }
    });
    let connection = http2::Builder::new(Tracked(tasks))
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADERS_MAX)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .serve_connection(TokioIo::new(io), counted);
    let mut connection = pin!(connection);
    let is_over = async {
        tokio::select! {
            _ = serving.closing.begun() => {}
            () = idle(&activity, serving.header_timeout) => {}
        }
    };
    let ended = tokio::select! {
        biased;
        ended = &mut connection => ended,
        () = is_over => {
            connection.as_mut().graceful_shutdown();
            // A peer that answers pings and opens no window would stay for ever.
            let Ok(ended) = timeout(serving.header_timeout, connection).await else {
                return tracing::debug!("a connection did not end in time and was cut");
            };
            ended
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Waits until nothing was asked for that long.
async fn idle(activity: &Activity, period: Duration) {
    let mut looks = interval(period);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut begun_before = usize::MAX;
    loop {
        looks.tick().await;
        let begun = activity.begun.load(Ordering::Relaxed);
        if begun == begun_before && activity.running.load(Ordering::Relaxed) == 0 {
            return;
        }
        begun_before = begun;
    }
}
