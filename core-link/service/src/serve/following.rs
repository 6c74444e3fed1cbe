//! What this Core holds in memory, kept equal to what other Cores on the same database have stored.

use std::{error::Error, sync::Arc};

use postern_core_link::{GreetingError, Supervisor};
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    certificate::Certificates,
    changes::{Changes, Numbers, Topic},
    dispatch,
    edges::{EdgeError, Edges},
    session_keys,
    store::{Store, StoreError},
};

/// Who is told of changes.
#[derive(Debug, Clone)]
pub struct Following {
    pub store: Store,
    pub supervisor: Supervisor,
    pub edges: Arc<Edges>,
    pub certificates: Arc<Certificates>,
}

/// A change could not be followed; it is tried again a second later.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error(transparent)]
    Edges(#[from] EdgeError),
    #[error("the session keys cannot be sent")]
    Greeting(#[from] GreetingError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Following {
    /// Starts a task for each topic, so that one which waits holds up no other.
    pub fn start(&self, tasks: &mut JoinSet<()>, drain: &CancellationToken) {
        let changes = Changes::new(self.store.clone());
        for topic in Topic::ALL.into_iter().filter(|topic| topic.is_numbered()) {
            let (following, numbers, drain) = (self.clone(), changes.numbers(), drain.clone());
            tasks.spawn(async move {
                drain.run_until_cancelled(following.follow(topic, numbers)).await;
            });
        }
        tasks.spawn(changes.run(drain.clone()));
    }

    /// Ends with the last look.
    async fn follow(self, topic: Topic, mut numbers: watch::Receiver<Numbers>) {
        let mut followed = None;
        while numbers.changed().await.is_ok() {
            let number = numbers.borrow_and_update().of(topic);
            if followed == Some(number) {
                continue;
            }
            match self.apply(topic).await {
                Ok(()) => followed = Some(number),
                Err(error) => {
                    let topic = topic.as_str();
                    tracing::warn!(topic, error = &error as &dyn Error, "cannot follow a change of another Core");
                }
            }
        }
    }

    async fn apply(&self, topic: Topic) -> Result<(), FollowError> {
        match topic {
            Topic::Edges => Ok(self.edges.refresh().await?),
            Topic::SessionKeys => self.send_session_keys().await,
            Topic::WebCertificate => Ok(self.certificates.refresh().await?),
            // Who waits for one looks for it.
            Topic::Approvals => Ok(()),
        }
    }

    async fn send_session_keys(&self) -> Result<(), FollowError> {
        let greeting = dispatch::greeting(&session_keys::ring(&self.store).await?)?;
        self.supervisor.set_greeting(greeting);
        Ok(())
    }
}
