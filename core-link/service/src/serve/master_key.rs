//! The store, opened with its master key: the one in the file, or on the first start a new one.
//!
//! Cores that make the first start of a database at once agree: one key is taken, and only that one gets its name. A key
//! is never made for a database that has one, as it could open nothing in there.

use std::{path::Path, time::Duration};

use tokio::time::{Instant, sleep};

use super::InstallationError;
use crate::{
    config::Config,
    sealing::{Draft, MasterKey, MasterKeyError},
    store::{Address, OpenError, ServerAddress, Store, StoreError},
};

/// From the moment when a Core on this machine has its key taken until the file has its name.
const NAMING_TIME_MAX: Duration = Duration::from_secs(1);
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

pub(super) async fn open_store(config: &Config) -> Result<Store, InstallationError> {
    let path = &config.master_key_file;
    match (MasterKey::load(path), &config.database) {
        (Ok(key), address) => Ok(Store::open(address, key).await?),
        (Err(MasterKeyError::Missing { .. }), Address::File(file)) if file.exists() => Err(lost(config)),
        // Nobody else can have it: one process at a time opens a file.
        (Err(MasterKeyError::Missing { .. }), address @ Address::File(_)) => {
            Ok(Store::open(address, MasterKey::create(path)?).await?)
        }
        (Err(MasterKeyError::Missing { .. }), Address::Server(server)) => open_first(config, server).await,
        (Err(error), _) => Err(error.into()),
    }
}

/// Without a key file: with what a crash has left of one, or with a new one if the database is new.
async fn open_first(config: &Config, server: &ServerAddress) -> Result<Store, InstallationError> {
    for draft in Draft::left_behind(&config.master_key_file) {
        if let Some(store) = open_with(draft, &config.database).await? {
            return Ok(store);
        }
    }
    if Store::is_new(server).await?
        && let Some(store) = open_with(Draft::make(&config.master_key_file)?, &config.database).await?
    {
        return Ok(store);
    }
    match named_meanwhile(&config.master_key_file).await {
        Some(key) => Ok(Store::open(&config.database, key).await?),
        None => Err(lost(config)),
    }
}

/// `None`: the database has taken another key, and this one is gone.
async fn open_with(draft: Draft, address: &Address) -> Result<Option<Store>, InstallationError> {
    let store = match Store::open(address, draft.key()).await {
        Ok(store) => store,
        Err(OpenError::OtherMasterKey { .. }) => {
            draft.discard();
            return Ok(None);
        }
        Err(error) => {
            // Whatever is not known for certain is asked for again at the next start, with the same key.
            if !may_be_taken(&error) {
                draft.discard();
            }
            return Err(error.into());
        }
    };
    match draft.install() {
        Ok(()) => Ok(Some(store)),
        Err(error) => {
            store.close().await;
            Err(error.into())
        }
    }
}

fn may_be_taken(error: &OpenError) -> bool {
    match error {
        OpenError::Database { source, .. } => {
            matches!(source, StoreError::Uncertain { .. } | StoreError::WriterFailed | StoreError::Closed)
        }
        OpenError::Create { .. }
        | OpenError::Unreachable { .. }
        | OpenError::WrongPassword { .. }
        | OpenError::NoSuchDatabase { .. }
        | OpenError::Newer { .. }
        | OpenError::Migrate { .. }
        | OpenError::OtherMasterKey { .. } => false,
    }
}

/// Another Core that shares the file may have had its key taken a moment ago.
async fn named_meanwhile(path: &Path) -> Option<MasterKey> {
    let end = Instant::now() + NAMING_TIME_MAX;
    loop {
        match MasterKey::load(path) {
            Ok(key) => return Some(key),
            Err(_) if Instant::now() < end => sleep(LOOK_INTERVAL).await,
            Err(_) => return None,
        }
    }
}

fn lost(config: &Config) -> InstallationError {
    InstallationError::MasterKeyLost { database: config.database.to_string(), key: config.master_key_file.clone() }
}
