//! A model of the database that all Cores share: operation id to outcome, and how often each had its effect.
//!
//! As with the real one, claim and effect commit together or not at all, and a repeat that comes while the first still
//! runs waits for it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::sleep;

/// How often a repeat looks whether the first has ended.
const LOCK_POLL: Duration = Duration::from_millis(5);

/// Clones are the same database.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    operations: BTreeMap<String, State>,
    /// By what was asked for: another id for the same would be one of the mistakes to find.
    effects: BTreeMap<String, u32>,
}

#[derive(Debug, Clone)]
enum State {
    Running,
    Committed { payload: String, reply: String },
}

/// What a Core learns when it begins an operation.
#[derive(Debug)]
pub(crate) enum Begun {
    New(Transaction),
    /// It was done before: the same reply.
    Replayed(String),
    /// The id was used for something else.
    Mismatch,
}

/// An operation that has not taken effect yet. Dropping it rolls it back, as the end of a database connection does.
#[derive(Debug)]
pub(crate) struct Transaction {
    memory: Memory,
    operation: String,
    payload: String,
    committed: bool,
}

impl Memory {
    pub(crate) async fn begin(&self, operation: &str, payload: &str) -> Begun {
        loop {
            if let Some(begun) = self.try_begin(operation, payload) {
                return begun;
            }
            sleep(LOCK_POLL).await;
        }
    }

    fn try_begin(&self, operation: &str, payload: &str) -> Option<Begun> {
        let mut shared = self.lock();
        match shared.operations.get(operation) {
            Some(State::Running) => None,
            Some(State::Committed { payload: known, reply }) if known == payload => {
                Some(Begun::Replayed(reply.clone()))
            }
            Some(State::Committed { .. }) => Some(Begun::Mismatch),
            None => {
                shared.operations.insert(operation.to_owned(), State::Running);
                Some(Begun::New(Transaction {
                    memory: self.clone(),
                    operation: operation.to_owned(),
                    payload: payload.to_owned(),
                    committed: false,
                }))
            }
        }
    }

    /// How often it took effect, under whichever operation id.
    pub(crate) fn effects(&self, payload: &str) -> u32 {
        self.lock().effects.get(payload).copied().unwrap_or(0)
    }

    /// What was stored for it.
    pub(crate) fn reply(&self, operation: &str) -> Option<String> {
        match self.lock().operations.get(operation)? {
            State::Running => None,
            State::Committed { reply, .. } => Some(reply.clone()),
        }
    }

    /// Everything that took effect, and how often.
    pub(crate) fn all_effects(&self) -> BTreeMap<String, u32> {
        self.lock().effects.clone()
    }

    /// Operations that hold their claim.
    pub(crate) fn running(&self) -> usize {
        self.lock().operations.values().filter(|state| matches!(state, State::Running)).count()
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transaction {
    /// Effect and stored reply, in one moment.
    pub(crate) fn commit(mut self) -> String {
        let mut shared = self.memory.lock();
        *shared.effects.entry(self.payload.clone()).or_default() += 1;
        let reply = format!("done/{}", self.payload);
        let state = State::Committed { payload: self.payload.clone(), reply: reply.clone() };
        shared.operations.insert(self.operation.clone(), state);
        drop(shared);
        self.committed = true;
        reply
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if !self.committed {
            self.memory.lock().operations.remove(&self.operation);
        }
    }
}
