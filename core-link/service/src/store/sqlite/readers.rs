//! Connections that only read.
//!
//! Kept in hand instead of in sqlx's pool, which pings a connection each time it comes back: for a poll that would
//! double the work. Now and then each goes through the pool after all, so that a broken one is replaced.

use std::{
    collections::VecDeque,
    ops::{Deref, DerefMut},
    sync::{Mutex, MutexGuard, PoisonError},
};

use sqlx::SqlitePool;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use super::{ACQUIRE_TIMEOUT, Part, Tx, acquire};
use crate::store::StoreError;

const USED_BEFORE_CHECK: u32 = 1000;

pub(super) struct Readers {
    pool: SqlitePool,
    part: Part,
    permits: Semaphore,
    idle: Mutex<VecDeque<Reader>>,
}

struct Reader {
    tx: Tx,
    used: u32,
}

/// A reader in use. Goes back when it is dropped, wherever the job was.
pub(in crate::store) struct Lease<'a> {
    readers: &'a Readers,
    /// `None` only while it is dropped.
    reader: Option<Reader>,
    _permit: SemaphorePermit<'a>,
}

impl Readers {
    pub(super) fn new(pool: SqlitePool, count: usize, part: Part) -> Self {
        Self { pool, part, permits: Semaphore::new(count), idle: Mutex::default() }
    }

    /// Waits a little for its turn; then the store has too much to do.
    pub(super) async fn lease(&self) -> Result<Lease<'_>, StoreError> {
        let permit = timeout(ACQUIRE_TIMEOUT, self.permits.acquire()).await.map_err(|_| StoreError::Overloaded)?;
        let permit = permit.map_err(|_| StoreError::Closed)?;
        let idle = self.idle().pop_back();
        let mut reader = match idle {
            Some(reader) => reader,
            None => Reader { tx: Tx::new(acquire(&self.pool).await?, self.part.clone()), used: 0 },
        };
        reader.used += 1;
        metrics::counter!("postern_core_store_reads_total").increment(1);
        Ok(Lease { readers: self, reader: Some(reader), _permit: permit })
    }

    pub(super) async fn close(&self) {
        self.permits.close();
        drop(std::mem::take(&mut *self.idle()));
        self.pool.close().await;
    }

    fn idle(&self) -> MutexGuard<'_, VecDeque<Reader>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deref for Lease<'_> {
    type Target = Tx;

    fn deref(&self) -> &Tx {
        &self.reader.as_ref().expect("a lease holds its reader until it is dropped").tx
    }
}

impl DerefMut for Lease<'_> {
    fn deref_mut(&mut self) -> &mut Tx {
        &mut self.reader.as_mut().expect("a lease holds its reader until it is dropped").tx
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let Some(reader) = self.reader.take() else { return };
        let mut idle = self.readers.idle();
        // Looked at under the lock: whoever closes empties the list afterwards, or sees it here.
        if reader.used < USED_BEFORE_CHECK && !self.readers.permits.is_closed() {
            idle.push_back(reader);
        }
    }
}
