//! What an error of SQLite says: that the machine is in trouble, or that a mistake is ours.

use std::sync::Arc;

use crate::store::StoreError;

/// SQLite's result codes for a machine in trouble rather than a mistake of ours: busy, locked, no memory, read-only,
/// I/O error, full, cannot open.
const TROUBLE: [i32; 7] = [5, 6, 7, 8, INPUT_OUTPUT, FULL, 14];
pub(super) const INPUT_OUTPUT: i32 = 10;
pub(super) const FULL: i32 = 13;

impl From<sqlx::Error> for StoreError {
    /// For statements before the commit, which are undone in any case.
    fn from(source: sqlx::Error) -> Self {
        if matches!(source, sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed) {
            return Self::Closed;
        }
        let unavailable = matches!(source, sqlx::Error::PoolTimedOut) || is_trouble(&source);
        let source = Arc::new(source);
        if unavailable { Self::Unavailable { source } } else { Self::Failed { source } }
    }
}

pub(super) fn is_trouble(error: &sqlx::Error) -> bool {
    result_code(error).is_some_and(|code| TROUBLE.contains(&code))
}

/// The primary code is the low byte; the rest says more about it.
pub(super) fn result_code(error: &sqlx::Error) -> Option<i32> {
    let code = error.as_database_error().and_then(|error| error.code())?;
    code.parse::<i32>().ok().map(|code| code & 0xff)
}
