//! How many rows strangers may cause.
//!
//! Whoever guesses tokens would otherwise decide how fast the database grows. What is not written is counted, and the
//! next row says how many there were.

use std::sync::{Mutex, PoisonError};

use crate::clock::Timestamp;

/// Plenty for mistakes of people, about 2 GiB a month under a lasting attack.
const ROWS_PER_SECOND: u32 = 5;

#[derive(Debug, Default)]
pub struct RefusalBudget(Mutex<Spent>);

#[derive(Debug, Default)]
struct Spent {
    second: i64,
    rows: u32,
    unwritten: u64,
}

impl RefusalBudget {
    /// `Some`: write a row, and say that so many were not written before it.
    pub fn take(&self, now: Timestamp) -> Option<u64> {
        let mut spent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if spent.second != now.as_unix() {
            spent.second = now.as_unix();
            spent.rows = 0;
        }
        if spent.rows == ROWS_PER_SECOND {
            spent.unwritten += 1;
            return None;
        }
        spent.rows += 1;
        Some(std::mem::take(&mut spent.unwritten))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_not_written() {
        let budget = RefusalBudget::default();
        let second = Timestamp::from_unix(7);
        let written = (0..100).filter(|_| budget.take(second).is_some()).count();
        assert_eq!(written, ROWS_PER_SECOND as usize);
        assert_eq!(budget.take(Timestamp::from_unix(8)), Some(95));
        assert_eq!(budget.take(Timestamp::from_unix(8)), Some(0));
    }
}
