//! What time it is, in whole seconds, from a source that is passed in.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// How far apart the clocks of two Cores may be before one mistrusts what the other has written: a time that is further
/// ahead than it can be comes from a clock that was wrong.
pub const CLOCKS_APART: Duration = Duration::from_mins(1);

/// Seconds since 1970, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    pub const fn from_unix(seconds: i64) -> Self {
        Self(seconds)
    }

    pub const fn as_unix(self) -> i64 {
        self.0
    }

    /// This much later; stays at the end of time instead of wrapping.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)))
    }

    /// For people and JSON, in UTC. A time outside the calendar is printed as its number.
    pub fn to_rfc3339(self) -> String {
        OffsetDateTime::from_unix_timestamp(self.0)
            .ok()
            .and_then(|at| at.format(&Rfc3339).ok())
            .unwrap_or_else(|| self.0.to_string())
    }
}

/// Where the time comes from. `None`: from this machine.
#[derive(Clone)]
pub struct Clock(Option<Arc<dyn Fn() -> Timestamp + Send + Sync>>);

impl Clock {
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(now)))
    }

    /// The clock of this machine.
    pub fn system() -> Self {
        Self(None)
    }

    pub fn now(&self) -> Timestamp {
        let Some(now) = &self.0 else {
            let elapsed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            return Timestamp::from_unix(0).after(elapsed);
        };
        now()
    }

    pub(crate) fn is_of_this_machine(&self) -> bool {
        self.0.is_none()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
    }
}
