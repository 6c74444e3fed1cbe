//! The one writer: takes what waits, runs it in one transaction, commits once, and only then answers all.
//!
//! Each job has a savepoint of its own, so that one that fails, panics or takes too long is undone alone. A job
//! whose caller left before it began is not run.

use std::{
    error::Error,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{FutureExt as _, future::BoxFuture};
use sqlx::SqlitePool;
use tokio::{
    sync::{mpsc, oneshot},
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Part, Tx, acquire,
    trouble::{FULL, INPUT_OUTPUT, is_trouble, result_code},
};
use crate::store::{Effects, StoreError, sql::Connection};

/// At about 5,000 changes a second this is a fifth of a second of waiting; later callers are better told at once.
const QUEUE_CAPACITY: usize = 1024;
/// Bounds what one failed commit undoes, and how long the first of a group waits for the last.
const GROUP_MAX: usize = 128;
/// A use case runs a dozen statements, microseconds each.
const JOB_TIME_MAX: Duration = Duration::from_secs(2);
const SWEEP_INTERVAL: Duration = Duration::from_secs(2);

pub(super) struct Writer {
    jobs: mpsc::Sender<Box<dyn Job>>,
    stopping: CancellationToken,
    tasks: TaskTracker,
}

impl Writer {
    pub(super) fn start(pool: SqlitePool, part: Part) -> Self {
        let (jobs, waiting) = mpsc::channel(QUEUE_CAPACITY);
        let stopping = CancellationToken::new();
        let tasks = TaskTracker::new();
        let groups = Groups { pool, part, waiting, tx: None, is_failing: false };
        tasks.spawn(groups.run(stopping.clone()));
        tasks.close();
        Self { jobs, stopping, tasks }
    }

    pub(super) async fn submit<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        F: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, (T, Effects)> + Send + 'static,
        T: Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job = Box::new(Waiting { work: Some(work), result: None, answer });
        self.jobs.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
        })?;
        answered.await.map_err(|_| StoreError::WriterFailed)?
    }

    /// Runs what is queued already, then ends.
    pub(super) async fn stop(&self) {
        self.stopping.cancel();
        self.tasks.wait().await;
    }
}

/// A change and whoever waits for it.
trait Job: Send {
    fn is_abandoned(&self) -> bool;
    fn run<'a>(&'a mut self, tx: &'a mut Tx) -> BoxFuture<'a, Effects>;
    fn answer(self: Box<Self>, failure: Option<StoreError>);
}

struct Waiting<T, F> {
    work: Option<F>,
    result: Option<T>,
    answer: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Job for Waiting<T, F>
where
    F: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, (T, Effects)> + Send,
    T: Send,
{
    fn is_abandoned(&self) -> bool {
        self.answer.is_closed()
    }

    fn run<'a>(&'a mut self, tx: &'a mut Tx) -> BoxFuture<'a, Effects> {
        let work = self.work.take().expect("a job is run once");
        async move {
            let (result, effects) = work(tx).await;
            self.result = Some(result);
            effects
        }
        .boxed()
    }

    fn answer(self: Box<Self>, failure: Option<StoreError>) {
        let result = match (failure, self.result) {
            (Some(failure), _) => Err(failure),
            (None, Some(result)) => Ok(result),
            (None, None) => Err(StoreError::Panicked),
        };
        // A caller that left does not want to know.
        self.answer.send(result).ok();
    }
}

struct Groups {
    pool: SqlitePool,
    part: Part,
    waiting: mpsc::Receiver<Box<dyn Job>>,
    /// Kept over groups; given back to the pool, which replaces it, when a transaction did not end well.
    tx: Option<Tx>,
    /// The last group was not committed.
    is_failing: bool,
}

type Ended = (Box<dyn Job>, Option<StoreError>);

impl Groups {
    async fn run(mut self, stopping: CancellationToken) {
        let mut sweep = interval(SWEEP_INTERVAL);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut group = Vec::with_capacity(GROUP_MAX);
        loop {
            tokio::select! {
                biased;
                () = stopping.cancelled(), if !self.waiting.is_closed() => self.waiting.close(),
                // Before the changes: of those there may always be more.
                _ = sweep.tick() => self.sweep().await,
                count = self.waiting.recv_many(&mut group, GROUP_MAX) => match count {
                    0 => break,
                    _ => self.survive(std::mem::take(&mut group)).await,
                },
            }
        }
        self.tx = None;
        self.pool.close().await;
    }

    /// A mistake in the writer itself costs one group its answers, and not every later one.
    async fn survive(&mut self, group: Vec<Box<dyn Job>>) {
        if AssertUnwindSafe(self.serve(group)).catch_unwind().await.is_err() {
            tracing::error!("the store's writer panicked");
            self.give_up().await;
        }
    }

    async fn serve(&mut self, group: Vec<Box<dyn Job>>) {
        let started = Instant::now();
        let mut ended = Vec::with_capacity(group.len());
        let committed = self.commit_group(group, &mut ended).await;
        metrics::counter!("postern_core_store_jobs_total").increment(ended.len() as u64);
        metrics::histogram!("postern_core_store_commit_seconds").record(started.elapsed());
        self.tell(&committed);
        for (job, failure) in ended {
            job.answer(failure.or_else(|| committed.as_ref().err().map(StoreError::share)));
        }
    }

    /// Warns when the state changes, and not for each group: the log may rest on the same full disk.
    fn tell(&mut self, committed: &Result<(), StoreError>) {
        match (committed, std::mem::replace(&mut self.is_failing, committed.is_err())) {
            (Ok(()), false) => {}
            (Ok(()), true) => tracing::info!("the store commits again"),
            (Err(error), false) => tracing::warn!(error = error as &dyn Error, "cannot commit to the store"),
            (Err(error), true) => tracing::debug!(error = error as &dyn Error, "still cannot commit to the store"),
        }
    }

    /// Leaves every job in `ended`, whatever happens.
    async fn commit_group(&mut self, group: Vec<Box<dyn Job>>, ended: &mut Vec<Ended>) -> Result<(), StoreError> {
        let mut jobs = group.into_iter();
        let outcome = match self.begin().await {
            Ok(tx) => run_group(tx, &mut jobs, ended).await,
            Err(error) => Err(error),
        };
        ended.extend(jobs.map(|job| (job, None)));
        if outcome.is_err() {
            self.give_up().await;
        }
        outcome
    }

    async fn begin(&mut self) -> Result<&mut Tx, StoreError> {
        let tx = match self.tx.take() {
            Some(tx) => tx,
            None => Tx::new(acquire(&self.pool).await?, self.part.clone()),
        };
        let tx = self.tx.insert(tx);
        // Ends with the commit, which takes what the last job did along.
        tx.run("BEGIN IMMEDIATE; SAVEPOINT job").await?;
        Ok(tx)
    }

    /// After a failure nobody knows what state the connection is in. Closing it ends its transaction.
    async fn give_up(&mut self) {
        if let Some(tx) = self.tx.take() {
            // The connection is dropped either way.
            if let Connection::Sqlite(connection) = tx.connection {
                connection.close().await.ok();
            }
        }
    }

    async fn sweep(&mut self) {
        let swept = async {
            let tx = self.begin().await?;
            if tx.has_expired().await? {
                tx.sweep().await?;
            }
            tx.run("COMMIT").await
        };
        if let Err(error) = swept.await {
            self.give_up().await;
            tracing::warn!(error = &error as &dyn Error, "cannot delete what has expired in the store");
        }
    }
}

async fn run_group(
    tx: &mut Tx,
    jobs: &mut impl Iterator<Item = Box<dyn Job>>,
    ended: &mut Vec<Ended>,
) -> Result<(), StoreError> {
    for mut job in jobs.filter(|job| !job.is_abandoned()) {
        let failure = run_job(tx, job.as_mut()).await;
        let (failure, broken) = match failure {
            Ok(failure) => (failure, None),
            Err(broken) => (None, Some(broken)),
        };
        ended.push((job, failure));
        if let Some(broken) = broken {
            return Err(broken.before_commit());
        }
    }
    commit(tx).await
}

/// `Ok(Some(_))`: the job failed and was undone. `Err(_)`: the transaction itself is broken.
async fn run_job(tx: &mut Tx, job: &mut dyn Job) -> Result<Option<StoreError>, StoreError> {
    tx.begin_job().await?;
    let outcome = timeout(JOB_TIME_MAX, AssertUnwindSafe(job.run(tx)).catch_unwind()).await;
    let (effects, failure) = match outcome {
        Ok(Ok(effects)) => (effects, None),
        Ok(Err(_)) => (Effects::Undo, Some(StoreError::Panicked)),
        Err(_) => (Effects::Undo, Some(StoreError::TimedOut)),
    };
    match effects {
        Effects::Keep => {}
        Effects::Undo => tx.undo().await?,
    }
    Ok(failure)
}

async fn commit(tx: &mut Tx) -> Result<(), StoreError> {
    let Connection::Sqlite(connection) = &mut tx.connection else { return Err(StoreError::Closed) };
    let Err(source) = sqlx::query("COMMIT").execute(&mut **connection).await else {
        metrics::counter!("postern_core_store_commits_total").increment(1);
        tx.log.leave();
        return Ok(());
    };
    let certainly_undone = match result_code(&source) {
        // The page that marks the commit did not fit, and SQLite has undone the rest.
        Some(FULL) => true,
        // The mark may be there, or come back after a crash: a failed fsync is reported like this.
        Some(INPUT_OUTPUT) | None => false,
        // Only when SQLite still has the transaction to undo is it certain that nothing was committed.
        Some(_) => is_trouble(&source) && tx.run("ROLLBACK").await.is_ok(),
    };
    let source = Arc::new(source);
    if certainly_undone { Err(StoreError::Unavailable { source }) } else { Err(StoreError::Uncertain { source }) }
}
