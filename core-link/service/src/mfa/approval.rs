//! Approval on a phone, as the device that began the login waits for it.
//!
//! What counts is the login's row, so the phone may be faster than the device, a restart of Core loses nothing, and any
//! Core may have taken the approval. Waiters are in memory only to be woken. Each has a number from the row; of several
//! that show the same token, wherever they are, the one with the highest number waits on.

mod elsewhere;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

pub use elsewhere::watch;
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
pub struct Approvals(Mutex<HashMap<TokenDigest, Waiter>>);

/// One wait for one login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    pub(crate) token: TokenDigest,
    pub(crate) number: i64,
}

#[derive(Debug)]
struct Waiter {
    number: i64,
    wake: oneshot::Sender<()>,
}

/// A place among the waiters, left on drop.
#[derive(Debug)]
struct Waiting {
    approvals: Arc<Approvals>,
    wait: Wait,
    /// Fails when a newer waiter shows the same token.
    woken: oneshot::Receiver<()>,
}

/// A device asks again over another tunnel once Core was silent for 6 s, and must not be superseded by a wait that this
/// Core began before it was frozen.
const BEGIN_MAX: Duration = Duration::from_secs(3);

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
    #[error("this Core was held up for too long")]
    Stale,
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
    let (digest, asked) = (token.digest(store.sealer()), Instant::now());
    // Strangers end here, far from the writer.
    store.read::<_, AwaitError, _>(|tx| Box::pin(async move { admit(tx, &digest).await.map(drop) })).await?;
    let wait = store.write(move |tx| Box::pin(async move { begin(tx, digest, asked).await })).await?;
    loop {
        let mut waiting = Approvals::enter(approvals, wait)?;
        // From here on no approval is missed. One that came before is looked for now.
        let session = store.read::<_, AwaitError, _>(|tx| Box::pin(async move { look(tx, &wait).await })).await?;
        if session.is_approved {
            return store.write(move |tx| Box::pin(async move { deliver(tx, &wait).await })).await;
        }
        let woken = timeout_at(deadline, &mut waiting.woken).await;
        woken.map_err(|_| AwaitError::NotInTime)?.map_err(|_| AwaitError::Superseded)?;
    }
}

async fn begin(tx: &mut Tx, token: TokenDigest, asked: Instant) -> Result<Wait, AwaitError> {
    let session = admit(tx, &token).await?;
    if asked.elapsed() > BEGIN_MAX {
        return Err(AwaitError::Stale);
    }
    Ok(Wait { token, number: tx.begin_wait(session.id).await? })
}

async fn deliver(tx: &mut Tx, wait: &Wait) -> Result<PresharedKey, AwaitError> {
    let session = look(tx, wait).await?;
    tx.deliver_approval(session.id).await?.ok_or(AwaitError::InvalidToken)
}

/// The login, as long as nobody else waits for it instead.
async fn look(tx: &mut Tx, wait: &Wait) -> Result<LoginSession, AwaitError> {
    let session = admit(tx, &wait.token).await?;
    match tx.newest_waiter(session.id).await? {
        Some(number) if number == wait.number => Ok(session),
        Some(_) => Err(AwaitError::Superseded),
        // It ended since.
        None => Err(AwaitError::InvalidToken),
    }
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
    /// Wakes whoever waits for this login here. To be called after the commit of its approval.
    pub(crate) fn wake(&self, token: &TokenDigest) {
        if let Some(waiter) = self.waiters().remove(token) {
            // One that has just left looks for nothing.
            waiter.wake.send(()).ok();
        }
    }

    /// Wakes this very waiter, to see for itself why it waits in vain.
    fn wake_one(&self, wait: &Wait) {
        if let Some(waiter) = self.leave(wait) {
            waiter.wake.send(()).ok();
        }
    }

    /// In place of an older waiter for the same login.
    fn enter(approvals: &Arc<Self>, wait: Wait) -> Result<Waiting, AwaitError> {
        let (wake, woken) = oneshot::channel();
        let mut waiters = approvals.waiters();
        match waiters.get(&wait.token) {
            Some(other) if other.number > wait.number => return Err(AwaitError::Superseded),
            None if waiters.len() >= WAITERS_MAX => return Err(AwaitError::TooMany),
            Some(_) | None => {}
        }
        waiters.insert(wait.token, Waiter { number: wait.number, wake });
        drop(waiters);
        Ok(Waiting { approvals: Arc::clone(approvals), wait, woken })
    }

    fn waits(&self) -> Vec<Wait> {
        self.waiters().iter().map(|(&token, waiter)| Wait { token, number: waiter.number }).collect()
    }

    fn leave(&self, wait: &Wait) -> Option<Waiter> {
        let mut waiters = self.waiters();
        let is_there = waiters.get(&wait.token).is_some_and(|waiter| waiter.number == wait.number);
        if is_there { waiters.remove(&wait.token) } else { None }
    }

    fn waiters(&self) -> MutexGuard<'_, HashMap<TokenDigest, Waiter>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.approvals.leave(&self.wait);
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

    fn enter(approvals: &Arc<Approvals>, token: TokenDigest, number: i64) -> Result<Waiting, AwaitError> {
        Approvals::enter(approvals, Wait { token, number })
    }

    #[tokio::test]
    async fn the_newest_waiter_is_woken_and_the_older_one_told() {
        let [token, other] = digests();
        let approvals = Arc::new(Approvals::default());
        let mut older = enter(&approvals, token, 1).unwrap();
        let mut newer = enter(&approvals, token, 2).unwrap();
        let mut elsewhere = enter(&approvals, other, 1).unwrap();
        assert!((&mut older.woken).await.is_err());
        drop(older);
        approvals.wake(&token);
        assert!((&mut newer.woken).await.is_ok());
        assert!(elsewhere.woken.try_recv().is_err());
    }

    #[test]
    fn whoever_comes_late_to_an_older_number_does_not_wait() {
        let [token, _] = digests();
        let approvals = Arc::new(Approvals::default());
        let _newer = enter(&approvals, token, 2).unwrap();
        assert!(matches!(enter(&approvals, token, 1), Err(AwaitError::Superseded)));
        assert_eq!(approvals.waits(), [Wait { token, number: 2 }]);
    }

    #[test]
    fn whoever_leaves_leaves_nothing_behind() {
        let approvals = Arc::new(Approvals::default());
        let waiting = digests().map(|token| enter(&approvals, token, 1).unwrap());
        assert_eq!(approvals.waiters().len(), 2);
        drop(waiting);
        assert!(approvals.waiters().is_empty());
    }
}
