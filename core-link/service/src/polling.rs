//! Polling: a device asks, every half minute, whether its setup has changed.
//!
//! A pure read of one statement: this is by far the most frequent request, and it must not wait for the writer. On a server
//! a statement costs far more than the rows it finds, so whoever gets a turn reads for others that wait as well.

mod width;

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use self::width::Width;
use crate::{
    device::DeviceSetup,
    store::{Store, StoreError},
    token::{Token, TokenDigest},
};

#[derive(Debug, thiserror::Error)]
pub enum PollError {
    #[error("invalid token")]
    InvalidToken,
    #[error("user inactive")]
    Inactive,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The polls under way.
pub struct Polls {
    store: Store,
    queue: Mutex<Queue>,
    width: Width,
}

#[derive(Default)]
struct Queue {
    polls: VecDeque<Poll>,
    /// How many have left it so far, from the front.
    taken: u64,
}

/// One that nobody reads for yet. Whoever asks waits for a turn for as long as it is in the queue.
struct Poll {
    token: TokenDigest,
    begun: oneshot::Sender<Begun>,
}

/// What it will be answered from. The first of those that are read for together has the turn as well, until all have their
/// answers.
type Begun = (Reading, Option<Turn>);

/// Ends when nobody holds it any more.
type Turn = Arc<OwnedSemaphorePermit>;

/// Goes on as long as anybody waits for it, whoever began it.
type Reading = Shared<BoxFuture<'static, Arc<Read>>>;

type Read = Result<HashMap<TokenDigest, Result<DeviceSetup, StoreError>>, StoreError>;

impl Polls {
    pub fn new(store: Store) -> Self {
        let width = Width::new(store.polls_at_once());
        Self { store, queue: Mutex::default(), width }
    }

    /// The setup of the device that a polling token belongs to.
    pub async fn ask(&self, token: &Token) -> Result<DeviceSetup, PollError> {
        let token = token.digest(self.store.sealer());
        let (reading, turn) = self.begun(token).await?;
        let read = reading.await;
        if let Some(turn) = turn {
            self.width.measure().await;
            drop(turn);
        }
        let found = match &*read {
            Ok(setups) => {
                setups.get(&token).map(|setup| setup.as_ref().cloned().map_err(StoreError::share)).transpose()?
            }
            Err(error) => return Err(error.share().into()),
        };
        let setup = found.ok_or(PollError::InvalidToken)?;
        if setup.owner_is_disabled { Err(PollError::Inactive) } else { Ok(setup) }
    }

    /// By whoever had a turn first.
    async fn begun(&self, token: TokenDigest) -> Result<Begun, StoreError> {
        let (tell, mut begun) = oneshot::channel();
        let number = self.queue().push(Poll { token, begun: tell });
        let begun = loop {
            tokio::select! {
                biased;
                begun = &mut begun => break begun,
                turn = self.store.last_turn() => {
                    if self.queue().has_taken(number) {
                        // Another one's by now.
                        drop(turn);
                        break begun.await;
                    }
                    self.read(Arc::new(turn?));
                }
            }
        };
        begun.map_err(|_| StoreError::Panicked)
    }

    /// For those that have waited longest.
    fn read(&self, turn: Turn) {
        let polls = self.queue().take(self.width.now());
        let tokens: Vec<TokenDigest> = polls.iter().map(|poll| poll.token).collect();
        let store = self.store.clone();
        let mut first = Some(Arc::clone(&turn));
        let read = async move {
            let read = store.read(|tx| Box::pin(async move { tx.polled_device_setups(&tokens).await }));
            // A shared future that panics wakes nobody.
            let read = AssertUnwindSafe(read).catch_unwind().await;
            drop(turn);
            Arc::new(read.unwrap_or(Err(StoreError::Panicked)))
        };
        let reading = read.boxed().shared();
        for poll in polls {
            poll.begun.send((reading.clone(), first.take())).ok();
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Says which number it has: they are taken in order.
    fn push(&mut self, poll: Poll) -> u64 {
        // Who has left. Nobody stays in front for much longer than they may wait for a turn, so these do not pile up.
        while self.polls.front().is_some_and(|poll| poll.begun.is_closed()) {
            self.pop();
        }
        self.polls.push_back(poll);
        self.taken + self.polls.len() as u64 - 1
    }

    fn has_taken(&self, number: u64) -> bool {
        number < self.taken
    }

    fn take(&mut self, polls_max: usize) -> Vec<Poll> {
        let mut polls = Vec::new();
        while polls.len() < polls_max
            && let Some(poll) = self.pop()
        {
            if !poll.begun.is_closed() {
                polls.push(poll);
            }
        }
        polls
    }

    fn pop(&mut self) -> Option<Poll> {
        let poll = self.polls.pop_front()?;
        self.taken += 1;
        Some(poll)
    }
}

impl fmt::Debug for Polls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Polls")
    }
}
