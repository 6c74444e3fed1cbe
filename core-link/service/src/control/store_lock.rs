//! One process at a time opens the store: a running Core, or one command while none runs.

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time::{Instant, sleep};

const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Held as long as the store is open. The kernel gives it up with the process, however that ends.
#[derive(Debug)]
pub struct StoreLock {
    _file: File,
}

/// Why the store may not be opened.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("another postern-core uses the database {}: stop it, or name its socket with --socket", .0.display())]
    Taken(PathBuf),
    #[error("cannot lock the database {}", .path.display())]
    Io { path: PathBuf, source: io::Error },
}

impl StoreLock {
    /// [`Self::take`], as soon as whoever has it is done, within `patience`.
    ///
    /// # Errors
    /// [`LockError`]
    pub async fn take_within(database: &Path, patience: Duration) -> Result<Self, LockError> {
        let end = Instant::now() + patience;
        loop {
            match Self::take(database) {
                Err(LockError::Taken(_)) if Instant::now() < end => sleep(LOOK_INTERVAL).await,
                taken => return taken,
            }
        }
    }

    /// Locks a database, which need not exist yet; its folder is made where it is missing.
    ///
    /// # Errors
    /// [`LockError`]
    pub fn take(database: &Path) -> Result<Self, LockError> {
        let failed = |source| LockError::Io { path: database.to_owned(), source };
        if let Some(folder) = database.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        }
        let mut path = database.as_os_str().to_owned();
        path.push(".lock");
        let mut options = OpenOptions::new();
        let file = options.create(true).truncate(false).write(true).mode(0o600).open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(LockError::Taken(database.to_owned())),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_locked_once_and_free_again_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("new folder/core.db");
        let first = StoreLock::take(&database).unwrap();
        assert!(matches!(StoreLock::take(&database), Err(LockError::Taken(_))));
        drop(first);
        StoreLock::take(&database).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_lock_that_is_soon_given_up_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("core.db");
        let patience = Duration::from_secs(3);
        let first = StoreLock::take(&database).unwrap();
        assert!(matches!(StoreLock::take_within(&database, patience).await, Err(LockError::Taken(_))));
        let give_up = async {
            sleep(patience / 2).await;
            drop(first);
        };
        let (second, ()) = tokio::join!(StoreLock::take_within(&database, patience), give_up);
        second.unwrap();
    }
}
