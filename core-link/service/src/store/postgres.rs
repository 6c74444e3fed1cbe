//! The store on Postgres, which several Cores may share.
//!
//! Every wait has an end, on both sides: a Core that freezes within a transaction does not hold the others, and a server
//! that freezes does not hold a Core.

mod absence;
mod listener;
mod migrations;
mod opening;
mod session;
mod sessions;
mod trouble;
mod writers;

use std::{error::Error, sync::Arc, time::Duration};

use futures::{FutureExt as _, future::BoxFuture};
use session::Presence;
pub(super) use session::Session;
use sessions::Sessions;
use sqlx::{ConnectOptions as _, PgConnection, postgres::PgConnectOptions};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use writers::Writers;
pub(super) use writers::{Repeat, Work};

use super::{
    Effects, Isolation, OpenError, ServerAddress, StoreError,
    tx::{Part, Tx},
};

/// Reads at the same time, apart from changes: polls never wait behind logins.
const READERS: u32 = 10;
/// Of these, for devices that poll. Each reads for many, and for more of them the fewer turns there are.
pub(super) const TURNS_TO_POLL: usize = 4;
/// A caller leaves after 4 s.
const READ_TIME_MAX: Duration = Duration::from_secs(3);
const SWEEP_INTERVAL: Duration = Duration::from_secs(2);
/// All named queries fit; a statement is then prepared once for each connection.
const STATEMENTS_CACHED: usize = 256;
/// The server's side of every wait, in milliseconds. What is left of a Core that froze or was cut off ends by these.
const LIMITS: [(&str, &str); 5] = [
    ("idle_in_transaction_session_timeout", "1000"),
    // After the former has freed what it waits for.
    ("lock_timeout", "1500"),
    ("statement_timeout", "3000"),
    ("tcp_user_timeout", "3000"),
    ("client_connection_check_interval", "1000"),
];

/// The same for one long job: it may work as long as it takes, if whoever asked for it is still there.
const JOB_LIMITS: [(&str, &str); 4] = [
    ("idle_in_transaction_session_timeout", "30000"),
    ("lock_timeout", "5000"),
    ("tcp_user_timeout", "30000"),
    ("client_connection_check_interval", "1000"),
];

/// A table that was empty when the server looked at it last is read whole, and then every change collides with every
/// other that reads it: in an index each reads its own few rows.
const PLANS: [(&str, &str); 2] = [("enable_seqscan", "off"), ("enable_bitmapscan", "off")];

/// The database, open for reading and writing.
pub(super) struct Database {
    readers: Arc<Sessions>,
    writers: Writers,
    stopping: CancellationToken,
    tasks: TaskTracker,
}

impl Database {
    pub(super) async fn open(server: &ServerAddress, part: Part) -> Result<Self, OpenError> {
        let options = options_for(server);
        opening::prepare(&options, server).await?;
        let options = options.options(LIMITS).options(PLANS);
        let reading = options.clone().options([("default_transaction_read_only", "on")]);
        let (listening, changed) = (reading.clone(), part.changed.clone());
        let presence = Arc::new(Presence::default());
        let writers = Writers::new(options, part.clone(), Arc::clone(&presence));
        let database = Self {
            readers: Arc::new(Sessions::new(reading, READERS, part, presence)),
            writers,
            stopping: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let sweeping = sweep(Arc::clone(&database.readers), database.writers.clone(), database.stopping.clone());
        database.tasks.spawn(sweeping);
        database.tasks.spawn(listener::listen(listening, changed, database.stopping.clone()));
        database.tasks.close();
        Ok(database)
    }

    pub(super) async fn connect(&self) {
        tokio::join!(self.readers.connect_all(), self.writers.connect_all());
    }

    pub(super) fn missed_turn(&self) -> StoreError {
        self.readers.missed_turn()
    }

    pub(super) async fn read<T, E, F>(&self, job: F) -> Result<T, E>
    where
        F: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, Result<T, E>> + Send,
        E: From<StoreError>,
    {
        let mut lease = self.readers.lease().await?;
        metrics::counter!("postern_core_store_reads_total").increment(1);
        match timeout(READ_TIME_MAX, job(&mut lease)).await {
            Ok(read) => read,
            Err(_) => Err(StoreError::Unavailable { source: sqlx::Error::PoolTimedOut.into() }.into()),
        }
    }

    pub(super) async fn submit<T, F>(&self, work: Work, job: F) -> Result<T, StoreError>
    where
        F: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, (T, Effects)> + Clone + Send + 'static,
        T: Send + 'static,
    {
        self.writers.submit(work, job).await
    }

    pub(super) async fn close(&self) {
        self.stopping.cancel();
        self.tasks.wait().await;
        self.writers.close().await;
        self.readers.close().await;
    }
}

/// Whether nothing was ever stored in it.
pub(super) async fn is_new(server: &ServerAddress) -> Result<bool, OpenError> {
    opening::is_new(&options_for(server), server).await
}

/// One connection, for a job of any length, to a database whose schema is up to date.
pub(super) async fn connect_once(server: &ServerAddress) -> Result<PgConnection, OpenError> {
    opening::connect_once(&options_for(server).options(JOB_LIMITS), server).await
}

/// Others did not let go of what a statement needed within its time.
pub(super) fn is_held_up(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "55P03")
}

fn options_for(server: &ServerAddress) -> PgConnectOptions {
    let options = server.options().disable_statement_logging();
    options.application_name("postern-core").statement_cache_capacity(STATEMENTS_CACHED)
}

/// Deletes what has expired, until the store closes.
async fn sweep(readers: Arc<Sessions>, writers: Writers, stopping: CancellationToken) {
    let mut ticks = interval(SWEEP_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_failing = false;
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let swept = sweep_if_needed(&readers, &writers).await;
        match (&swept, std::mem::replace(&mut is_failing, swept.is_err())) {
            (Ok(()), true) => tracing::info!("the store can be changed again"),
            (Err(error), false) => {
                tracing::warn!(error = error as &dyn Error, "cannot delete what has expired in the store");
            }
            (Ok(()), false) | (Err(_), true) => {}
        }
    }
}

/// Looks by itself first, so that it collides with nobody as long as there is nothing to delete.
async fn sweep_if_needed(readers: &Sessions, writers: &Writers) -> Result<(), StoreError> {
    if readers.lease().await?.has_expired().await? {
        writers.submit(Work { repeat: Repeat::Never, isolation: Isolation::Serial }, sweep_once).await.flatten()?;
    }
    Ok(())
}

fn sweep_once(tx: &mut Tx) -> BoxFuture<'_, (Result<(), StoreError>, Effects)> {
    let swept = tx.sweep();
    async {
        let swept = swept.await;
        let effects = if swept.is_ok() { Effects::Keep } else { Effects::Undo };
        (swept, effects)
    }
    .boxed()
}
