//! Where a command is done: in the Core that runs here, or in this process, on the same database.

use std::{path::Path, time::Duration};

use tokio::time::{Instant, sleep};

use crate::{
    config::Config,
    control::{ControlClient, LockError, StoreLock},
    store::{Address, Store},
};

/// A Core that starts, or another command, has the store for less than this.
const STORE_PATIENCE: Duration = Duration::from_secs(5);
const STORE_LOOK_INTERVAL: Duration = Duration::from_millis(50);

pub(super) enum Place {
    RunningCore(ControlClient),
    /// Locked, where only one process at a time may open it.
    Here(Option<StoreLock>),
}

/// In a Core that runs here, and nowhere else.
pub(super) async fn running(config: &Config) -> anyhow::Result<Place> {
    match ControlClient::connect(&config.socket).await? {
        Some(core) => Ok(Place::RunningCore(core)),
        None => anyhow::bail!("no Core listens on {}", config.socket.display()),
    }
}

/// Waits while a Core is starting, or another command is at work.
pub(super) async fn find(config: &Config) -> anyhow::Result<Place> {
    if let Some(core) = ControlClient::connect(&config.socket).await? {
        return Ok(Place::RunningCore(core));
    }
    match &config.database {
        Address::File(file) => beside_nobody(config, file).await,
        // Cores on other machines may be at work on it.
        Address::Server(server) if !Store::is_new(server).await? => Ok(Place::Here(None)),
        Address::Server(_) => Err(nothing_there(config)),
    }
}

async fn beside_nobody(config: &Config, database: &Path) -> anyhow::Result<Place> {
    let end = Instant::now() + STORE_PATIENCE;
    loop {
        if let Some(core) = ControlClient::connect(&config.socket).await? {
            return Ok(Place::RunningCore(core));
        }
        if !database.exists() {
            return Err(nothing_there(config));
        }
        match StoreLock::take(database) {
            Ok(lock) => return Ok(Place::Here(Some(lock))),
            Err(LockError::Taken(_)) if Instant::now() < end => sleep(STORE_LOOK_INTERVAL).await,
            Err(error) => return Err(error.into()),
        }
    }
}

fn nothing_there(config: &Config) -> anyhow::Error {
    anyhow::anyhow!(
        "no Core listens on {}, and {} {}: start one with `postern-core serve`",
        config.socket.display(),
        match config.database {
            Address::File(_) => "there is no database",
            Address::Server(_) => "nothing was ever stored in the database",
        },
        config.database
    )
}
