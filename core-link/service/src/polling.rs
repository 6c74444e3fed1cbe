//! Polling: a device asks, every half minute, whether its setup has changed.
//!
//! A pure read of one statement: this is by far the most frequent request, and it must not wait for the writer. On a server
//! a statement costs far more than the rows it finds, so whoever gets a turn reads for others that wait as well.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{
    SemaphorePermit,
    oneshot::{self, error::RecvError},
};

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
    answer: oneshot::Sender<Found>,
}

type Found = Result<Option<DeviceSetup>, StoreError>;

impl Polls {
    pub fn new(store: Store) -> Self {
        Self { store, queue: Mutex::default() }
    }

    /// The setup of the device that a polling token belongs to.
    pub async fn ask(&self, token: &Token) -> Result<DeviceSetup, PollError> {
        let token = token.digest(self.store.sealer());
        let found = loop {
            // Else whoever read for it has left in the middle.
            if let Ok(found) = self.wait(token).await? {
                break found?;
            }
        };
        let setup = found.ok_or(PollError::InvalidToken)?;
        if setup.owner_is_disabled { Err(PollError::Inactive) } else { Ok(setup) }
    }

    async fn wait(&self, token: TokenDigest) -> Result<Result<Found, RecvError>, StoreError> {
        let (answer, mut answered) = oneshot::channel();
        let number = self.queue().push(Poll { token, answer });
        loop {
            tokio::select! {
                biased;
                answer = &mut answered => return Ok(answer),
                turn = self.store.last_turn() => {
                    if self.queue().has_taken(number) {
                        // Another one's by now.
                        drop(turn);
                        return Ok(answered.await);
                    }
                    self.serve(turn?).await;
                }
            }
        }
    }

    /// Reads for those that have waited longest.
    async fn serve(&self, turn: SemaphorePermit<'_>) {
        let polls = self.queue().take(self.store.polls_at_once());
        if polls.is_empty() {
            return;
        }
        let tokens: Vec<TokenDigest> = polls.iter().map(|poll| poll.token).collect();
        let read = self.store.read(|tx| Box::pin(async move { tx.polled_device_setups(&tokens).await })).await;
        drop(turn);
        answer(polls, read);
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Says which number it has: they are taken in order.
    fn push(&mut self, poll: Poll) -> u64 {
        // Who has left. Nobody stays in front for much longer than they may wait for a turn, so these do not pile up.
        while self.polls.front().is_some_and(|poll| poll.answer.is_closed()) {
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
            if !poll.answer.is_closed() {
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

/// To each its own. Who has left meanwhile needs none.
fn answer(mut polls: Vec<Poll>, read: Result<HashMap<TokenDigest, Result<DeviceSetup, StoreError>>, StoreError>) {
    let mut setups = match read {
        Ok(setups) => setups,
        Err(error) => {
            for poll in polls {
                poll.answer.send(Err(error.share())).ok();
            }
            return;
        }
    };
    while let Some(poll) = polls.pop() {
        let is_asked_for_again = polls.iter().any(|other| other.token == poll.token);
        let found = if is_asked_for_again {
            setups.get(&poll.token).map(|setup| setup.as_ref().cloned().map_err(StoreError::share))
        } else {
            setups.remove(&poll.token)
        };
        poll.answer.send(found.transpose()).ok();
    }
}
