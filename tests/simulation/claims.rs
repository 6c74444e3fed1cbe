//! What Edges said had certainly not happened, against what had.
//!
//! Another Edge may have done it meanwhile, and that is no lie: only what an Edge had asked for itself counts.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Claims(Arc<Mutex<Shared>>);

#[derive(Debug, Default)]
struct Shared {
    /// Calls that reached an Edge, in order.
    calls: Vec<Event>,
    /// Calls that an Edge answered with "certainly not".
    denials: Vec<Event>,
    /// What took effect at a Core, when it was begun, and for whom.
    effects: Vec<Event>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Event {
    edge: String,
    operation: String,
    at: Duration,
}

impl Event {
    fn new(edge: &str, operation: &str, at: Duration) -> Self {
        Self { edge: edge.to_owned(), operation: operation.to_owned(), at }
    }

    fn is_of(&self, other: &Self) -> bool {
        self.edge == other.edge && self.operation == other.operation
    }
}

impl Claims {
    pub(crate) fn call(&self, edge: &str, operation: &str, at: Duration) {
        self.lock().calls.push(Event::new(edge, operation, at));
    }

    /// The call that came then.
    pub(crate) fn deny(&self, edge: &str, operation: &str, called: Duration) {
        self.lock().denials.push(Event::new(edge, operation, called));
    }

    pub(crate) fn take_effect(&self, edge: &str, operation: &str, begun: Duration) {
        self.lock().effects.push(Event::new(edge, operation, begun));
    }

    /// To be asked when nothing is under way any more.
    pub(crate) fn lies(&self) -> Vec<String> {
        let shared = self.lock();
        let is_lie = |denial: &&Event| {
            // From the next call on, an effect may be that one's.
            let later = shared.calls.iter().filter(|call| call.is_of(denial) && call.at > denial.at);
            let until = later.map(|call| call.at).min().unwrap_or(Duration::MAX);
            shared.effects.iter().any(|effect| effect.is_of(denial) && (denial.at..until).contains(&effect.at))
        };
        let lies = shared.denials.iter().filter(is_lie);
        lies.map(|lie| format!("{} said that {} had certainly not happened, and had done it", lie.edge, lie.operation))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
