//! Changes on Postgres: each a serializable transaction, if its job needs that, run again when it collides with another.
//!
//! So a use case may look and then change as if it were alone, on every Core. One that collided several times
//! is alone: all others, on every Core, wait for it, so that a row that everybody wants starves nobody. A change ends also
//! when its caller has left, and what it tells leaves only from the attempt that was committed.

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{FutureExt as _, future::BoxFuture};
use sqlx::postgres::PgConnectOptions;
use tokio::{
    sync::{Semaphore, TryAcquireError, oneshot},
    time::{sleep, timeout, timeout_at},
};
use tokio_util::task::TaskTracker;

use super::{
    session::{Company, Health, Presence},
    sessions::{Lease, Sessions},
    trouble::{is_undone_for_certain, trouble},
};
use crate::store::{
    Effects, Isolation, StoreError,
    tx::{Log, Part, Tx},
};

/// Changes at the same time; a Core needs few, and a server has about a hundred connections for all.
const WRITERS: u32 = 12;
/// Who comes later is better told at once.
const WAITING_MAX: usize = 1024;
/// For its turn and all attempts together. A caller leaves after 4 s.
const CHANGE_TIME_MAX: Duration = Duration::from_secs(3);
/// A use case runs a dozen statements, each of them within a millisecond or two.
const ATTEMPT_TIME_MAX: Duration = Duration::from_secs(2);
/// Collisions after which a change wants to be alone. Few of many are for one row: most only lie beside each other in an
/// index, and alone means that nobody shares its wait for the disk. A Core that is short of processor time holds up all others
/// for as long as it takes, and who waited then begins in the same moment and collides again; so not too soon.
const COLLISIONS_MAX: u32 = 6;
/// Before another attempt after a connection was lost, or after a second collision; doubles, and is jittered.
const PAUSE_FIRST: Duration = Duration::from_millis(4);
const PAUSE_MAX: Duration = Duration::from_millis(100);
const CONSTRAINT_ATTEMPTS: u32 = 3;
/// Longer than the server takes for any statement.
const COMMIT_TIME_MAX: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub(super) struct Writers {
    sessions: Arc<Sessions>,
    seats: Arc<Semaphore>,
    tasks: TaskTracker,
}

/// What a job asks of its transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct Work {
    pub(in crate::store) repeat: Repeat,
    pub(in crate::store) isolation: Isolation,
}

/// Whether it may be done again when nobody knows whether it took place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Repeat {
    /// It begins with the claim of an operation, so that the second time finds out whether the first took place.
    FindsClaim,
    Never,
}

/// How an attempt ended that did not succeed.
enum Failure {
    /// Certainly undone, and worth trying again.
    Again(StoreError),
    /// The same, because of another change.
    Collided(StoreError),
    /// The connection was lost while it was committed.
    InDoubt(StoreError),
    Final(StoreError),
}

impl Writers {
    pub(super) fn new(options: PgConnectOptions, part: Part, presence: Arc<Presence>) -> Self {
        let sessions = Arc::new(Sessions::new(options, WRITERS, part, presence));
        Self { sessions, seats: Arc::new(Semaphore::new(WAITING_MAX)), tasks: TaskTracker::new() }
    }

    pub(super) async fn submit<T, F>(&self, work: Work, job: F) -> Result<T, StoreError>
    where
        F: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, (T, Effects)> + Clone + Send + 'static,
        T: Send + 'static,
    {
        let seat = Arc::clone(&self.seats).try_acquire_owned().map_err(|error| match error {
            TryAcquireError::NoPermits => StoreError::Overloaded,
            TryAcquireError::Closed => StoreError::Closed,
        })?;
        let (mut answer, answered) = oneshot::channel();
        let sessions = Arc::clone(&self.sessions);
        self.tasks.spawn(async move {
            let end = Instant::now() + CHANGE_TIME_MAX;
            let changed = tokio::select! {
                biased;
                // Only before it begins: what has begun ends by itself.
                () = answer.closed() => return,
                lease = sessions.lease_by(end) => match lease {
                    Ok(lease) => change(&sessions, (lease, end), work, job).await,
                    Err(error) => Err(error),
                },
            };
            drop(seat);
            metrics::counter!("postern_core_store_jobs_total").increment(1);
            answer.send(changed).ok();
        });
        answered.await.map_err(|_| StoreError::WriterFailed)?
    }

    pub(super) async fn connect_all(&self) {
        self.sessions.connect_all().await;
    }

    /// Finishes what has begun.
    pub(super) async fn close(&self) {
        self.seats.close();
        self.tasks.close();
        self.tasks.wait().await;
        self.sessions.close().await;
    }
}

/// Attempts until one ends for good, or time is up.
async fn change<T, F>(
    sessions: &Sessions,
    (mut lease, end): (Lease<'_>, Instant),
    work: Work,
    job: F,
) -> Result<T, StoreError>
where
    F: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, (T, Effects)> + Clone + Send,
{
    let (mut doubt, mut collisions) = (None, 0);
    for attempts in 1.. {
        let company = if collisions < COLLISIONS_MAX { Company::Others } else { Company::Nobody };
        let tried = attempt(&mut lease, job.clone(), ((work.isolation, company), end)).await;
        let error = match (tried, work.repeat) {
            (Ok(value), _) => return Ok(value),
            (Err(Failure::InDoubt(error)), Repeat::FindsClaim) => doubt.insert(error).share(),
            (Err(Failure::Again(error)), _) => error,
            (Err(Failure::Collided(error)), _) if is_worth_repeating(&error, attempts) => {
                collisions += 1;
                if lease.session().is_reusable() {
                    metrics::counter!("postern_core_store_repeats_total").increment(1);
                    if company == Company::Others && collisions > 1 {
                        sleep(pause_after(collisions)).await;
                    }
                    continue;
                }
                error
            }
            (Err(Failure::Collided(error) | Failure::InDoubt(error) | Failure::Final(error)), _) => {
                return Err(doubt.unwrap_or(error));
            }
        };
        metrics::counter!("postern_core_store_repeats_total").increment(1);
        drop(lease);
        let again = async {
            sleep(pause_after(attempts)).await;
            sessions.lease_by(end).await
        };
        lease = match timeout_at(end.into(), again).await {
            Ok(Ok(lease)) => lease,
            Ok(Err(error)) => return Err(doubt.unwrap_or(error)),
            Err(_) => return Err(doubt.unwrap_or(error)),
        };
    }
    Err(StoreError::TimedOut)
}

async fn attempt<T, F>(tx: &mut Tx, job: F, (apart, end): ((Isolation, Company), Instant)) -> Result<T, Failure>
where
    F: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, (T, Effects)>,
{
    match timeout_at(end.into(), begin(tx, apart)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tx.session().roll_back().await;
            return Err(Failure::Again(error));
        }
        Err(_) => return Err(Failure::Final(StoreError::TimedOut)),
    }
    let end = end.min(Instant::now() + ATTEMPT_TIME_MAX);
    let (value, effects) = match timeout_at(end.into(), AssertUnwindSafe(job(tx)).catch_unwind()).await {
        Ok(Ok(ended)) => ended,
        Ok(Err(_)) => {
            tx.session().roll_back().await;
            return Err(Failure::Final(StoreError::Panicked));
        }
        // Its session is closed when it goes back, and with it the transaction.
        Err(_) => return Err(Failure::Final(StoreError::TimedOut)),
    };
    let failure = match (tx.session().health().clone(), effects) {
        (Health::Sound, Effects::Keep) => return commit(tx).await.map(|()| value),
        (Health::Sound | Health::Aborted(_), Effects::Undo) => None,
        (Health::Conflict(source), _) => Some(Failure::Collided(before_commit(source))),
        (Health::Lost(source), _) => Some(Failure::Again(StoreError::Unavailable { source })),
        (Health::Aborted(source), Effects::Keep) => Some(Failure::Final(StoreError::Failed { source })),
        (Health::Busy, _) => Some(Failure::Final(StoreError::TimedOut)),
    };
    tx.session().roll_back().await;
    failure.map_or(Ok(value), Err)
}

async fn begin(tx: &mut Tx, (isolation, company): (Isolation, Company)) -> Result<(), StoreError> {
    tx.log = Log::default();
    tx.session().begin(isolation, company).await
}

async fn commit(tx: &mut Tx) -> Result<(), Failure> {
    let source = match timeout(COMMIT_TIME_MAX, tx.session().commit()).await {
        Ok(Ok(())) => {
            metrics::counter!("postern_core_store_commits_total").increment(1);
            tx.log.leave();
            return Ok(());
        }
        Ok(Err(source)) => source,
        Err(_) => sqlx::Error::PoolTimedOut,
    };
    let is_undone = is_undone_for_certain(&source);
    let source = Arc::new(source);
    Err(if is_undone {
        Failure::Collided(before_commit(source))
    } else {
        Failure::InDoubt(StoreError::Uncertain { source })
    })
}

fn before_commit(source: Arc<sqlx::Error>) -> StoreError {
    trouble(&source).before_commit(source)
}

/// A constraint may be broken because of what another transaction did in between, so that a second look refuses what
/// the first let through; if not, it is our mistake.
fn is_worth_repeating(error: &StoreError, attempts: u32) -> bool {
    !matches!(error, StoreError::Failed { .. }) || attempts < CONSTRAINT_ATTEMPTS
}

/// Jittered, so that two that collided do not collide again.
fn pause_after(attempts: u32) -> Duration {
    let longest = PAUSE_FIRST.saturating_mul(1 << attempts.min(10)).min(PAUSE_MAX);
    longest.mul_f64(rand::random_range(0.25..1.0))
}
