//! How a Core learns what other Cores on the same database have changed.
//!
//! A change of what Cores hold in memory raises its topic's number in its own transaction. Each Core reads the numbers
//! every second, and at once when it is woken: whoever misses a wake-up is late by a second, and no more.

use std::{collections::BTreeMap, error::Error, time::Duration};

use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::store::{Store, StoreError};

const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Between two looks, so that many wake-ups are one look.
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// What was changed. Whatever is not in here is read from the store for each request, and so needs no telling: people,
/// devices, locations, tokens, and everything that takes one of them back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    Edges,
    SessionKeys,
    WebCertificate,
    /// Without a number: all logins of all Cores would wait for one row. Who waits looks at the row of the login.
    Approvals,
}

/// How often each topic has changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Numbers(BTreeMap<Topic, i64>);

/// Reads the numbers, and tells them to those who follow.
#[derive(Debug)]
pub struct Changes {
    store: Store,
    numbers: watch::Sender<Numbers>,
}

impl Topic {
    pub const ALL: [Self; 4] = [Self::Edges, Self::SessionKeys, Self::WebCertificate, Self::Approvals];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Edges => "edges",
            Self::SessionKeys => "session_keys",
            Self::WebCertificate => "web_certificate",
            Self::Approvals => "approvals",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.as_str() == text)
    }

    pub fn is_numbered(self) -> bool {
        match self {
            Self::Edges | Self::SessionKeys | Self::WebCertificate => true,
            Self::Approvals => false,
        }
    }
}

impl Numbers {
    pub fn of(&self, topic: Topic) -> i64 {
        self.0.get(&topic).copied().unwrap_or_default()
    }

    pub(crate) fn set(&mut self, topic: Topic, number: i64) {
        self.0.insert(topic, number);
    }
}

impl Changes {
    pub fn new(store: Store) -> Self {
        Self { store, numbers: watch::Sender::default() }
    }

    /// Is told after each look, whether or not a number differs, so that who failed to follow tries again.
    pub fn numbers(&self) -> watch::Receiver<Numbers> {
        self.numbers.subscribe()
    }

    /// Looks until told to stop.
    pub async fn run(self, drain: CancellationToken) {
        let mut woken = self.store.changes_woken();
        let looking = async {
            let mut is_failing = false;
            loop {
                match self.look().await {
                    Ok(numbers) => {
                        is_failing = false;
                        self.numbers.send_replace(numbers);
                    }
                    Err(error) if !is_failing => {
                        is_failing = true;
                        tracing::warn!(error = &error as &dyn Error, "cannot see what other Cores have changed");
                    }
                    Err(_still) => {}
                }
                until_next_look(&mut woken).await;
            }
        };
        drain.run_until_cancelled(looking).await;
    }

    async fn look(&self) -> Result<Numbers, StoreError> {
        self.store.read(|tx| Box::pin(tx.change_numbers())).await
    }
}

/// When it is time to look again at what other Cores did.
pub(crate) async fn until_next_look(woken: &mut watch::Receiver<()>) {
    sleep(LOOK_PAUSE).await;
    // Woken or not: after a while it is looked.
    timeout(LOOK_INTERVAL - LOOK_PAUSE, woken.changed()).await.ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_found_by_its_name() {
        for topic in Topic::ALL {
            assert_eq!(Topic::parse(topic.as_str()), Some(topic));
        }
        assert_eq!(Topic::parse("weather"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn many_wake_ups_are_few_looks() {
        let (wake, mut woken) = watch::channel(());
        let began = tokio::time::Instant::now();
        for _ in 0..10 {
            wake.send_replace(());
            until_next_look(&mut woken).await;
        }
        assert_eq!(began.elapsed(), 10 * LOOK_PAUSE);
        until_next_look(&mut woken).await;
        assert_eq!(began.elapsed(), 10 * LOOK_PAUSE + LOOK_INTERVAL);
    }
}
