//! Approval on a phone, as the device that began the login waits for it.
//!
//! What counts is the login's row, so the phone may be faster than the device, and a restart of Core loses nothing.
//! Waiters are in memory, only to be woken; of two that show the same token the newer one waits on.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

use super::{
    PresharedKey,
    login::{LoginSession, Method},
};
use crate::{
    store::{Store, StoreError, Tx},
    token::{Token, TokenDigest},
};

/// About 10 MiB. Links bound how many wait at each Edge, so this is a bound against surprises.
const WAITERS_MAX: usize = 1 << 16;

/// Who waits for an approval, in this process.
#[derive(Debug, Default)]
pub struct Approvals(Mutex<Waiters>);

#[derive(Debug, Default)]
struct Waiters {
    by_token: HashMap<TokenDigest, Waiter>,
    last: u64,
}

#[derive(Debug)]
struct Waiter {
    number: u64,
    wake: oneshot::Sender<()>,
}

/// A place among the waiters, left on drop.
#[derive(Debug)]
struct Waiting {
    approvals: Arc<Approvals>,
    token: TokenDigest,
    number: u64,
    /// Fails when a newer waiter shows the same token.
    woken: oneshot::Receiver<()>,
}

#[derive(Debug, thiserror::Error)]
pub enum AwaitError {
    /// Not one of ours, its time is over, or its result was fetched.
    #[error("invalid token")]
    InvalidToken,
    #[error("this login is not one for a phone to approve")]
    OtherMethod,
    #[error("another socket waits for this login")]
    Superseded,
    #[error("nobody approved this login in time")]
    NotInTime,
    #[error("too many wait for an approval")]
    TooMany,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The result of a login, as soon as a phone has approved it.
pub async fn wait(
    store: &Store,
    approvals: &Arc<Approvals>,
    token: &Token,
    deadline: Instant,
) -> Result<PresharedKey, AwaitError> {
    let digest = token.digest(store.sealer());
    store.read::<_, AwaitError, _>(|tx| Box::pin(async move { admit(tx, &digest).await.map(drop) })).await?;
    let mut waiting = Approvals::enter(approvals, digest).ok_or(AwaitError::TooMany)?;
    // From here on no approval is missed. One that came before is looked for now.
    let session = store.read::<_, AwaitError, _>(|tx| Box::pin(async move { admit(tx, &digest).await })).await?;
    if !session.is_approved {
        let woken = timeout_at(deadline, &mut waiting.woken).await;
        woken.map_err(|_| AwaitError::NotInTime)?.map_err(|_| AwaitError::Superseded)?;
    }
    store.write(move |tx| Box::pin(async move { deliver(tx, &digest).await })).await
}

async fn deliver(tx: &mut Tx, token: &TokenDigest) -> Result<PresharedKey, AwaitError> {
    let session = admit(tx, token).await?;
    tx.deliver_approval(session.id).await?.ok_or(AwaitError::InvalidToken)
}

async fn admit(tx: &mut Tx, token: &TokenDigest) -> Result<LoginSession, AwaitError> {
    let session = tx.login(token, None).await?.ok_or(AwaitError::InvalidToken)?;
    if session.method != Method::MobileApproval {
        return Err(AwaitError::OtherMethod);
    }
    if session.is_over(tx.now()) || session.person_is_disabled {
        return Err(AwaitError::InvalidToken);
    }
    Ok(session)
}

impl Approvals {
    /// Wakes whoever waits for this login. To be called after the commit of its approval.
    pub(crate) fn wake(&self, token: &TokenDigest) {
        if let Some(waiter) = self.waiters().by_token.remove(token) {
            // One that has just left looks for nothing.
            waiter.wake.send(()).ok();
        }
    }

    /// In place of an older waiter for the same login.
    fn enter(approvals: &Arc<Self>, token: TokenDigest) -> Option<Waiting> {
        let (wake, woken) = oneshot::channel();
        let mut waiters = approvals.waiters();
        if waiters.by_token.len() >= WAITERS_MAX && !waiters.by_token.contains_key(&token) {
            return None;
        }
        waiters.last += 1;
        let number = waiters.last;
        waiters.by_token.insert(token, Waiter { number, wake });
        drop(waiters);
        Some(Waiting { approvals: Arc::clone(approvals), token, number, woken })
    }

    fn leave(&self, token: &TokenDigest, number: u64) {
        let mut waiters = self.waiters();
        if waiters.by_token.get(token).is_some_and(|waiter| waiter.number == number) {
            waiters.by_token.remove(token);
        }
    }

    fn waiters(&self) -> MutexGuard<'_, Waiters> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.approvals.leave(&self.token, self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sealing::{MasterKey, Sealer};

    fn digests() -> [TokenDigest; 2] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        MasterKey::create(&path).unwrap();
        let sealer = Sealer::new(&MasterKey::load(&path).unwrap());
        [Token::random(), Token::random()].map(|token| token.digest(&sealer))
    }

    #[tokio::test]
    async fn the_newest_waiter_is_woken_and_the_older_one_told() {
        let [token, other] = digests();
        let approvals = Arc::new(Approvals::default());
        let mut older = Approvals::enter(&approvals, token).unwrap();
        let mut newer = Approvals::enter(&approvals, token).unwrap();
        let mut elsewhere = Approvals::enter(&approvals, other).unwrap();
        assert!((&mut older.woken).await.is_err());
        drop(older);
        approvals.wake(&token);
        assert!((&mut newer.woken).await.is_ok());
        assert!(elsewhere.woken.try_recv().is_err());
    }

    #[test]
    fn whoever_leaves_leaves_nothing_behind() {
        let approvals = Arc::new(Approvals::default());
        let waiting = digests().map(|token| Approvals::enter(&approvals, token).unwrap());
        assert_eq!(approvals.waiters().by_token.len(), 2);
        drop(waiting);
        assert!(approvals.waiters().by_token.is_empty());
    }
}
