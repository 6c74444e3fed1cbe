//! At most once: an operation that is repeated gets the reply of the first time.
//!
//! The claim is a row inserted as the first statement of the effect's transaction. On SQLite there is one writer, so a
//! repeat always finds the first finished, and its reply stored, or undone; on Postgres it waits at that row until then.

use std::{fmt, time::Duration};

use futures::future::BoxFuture;

use super::{Effects, StoreError, Tx};
use crate::{activity::Entry, sealing::Place};

/// How long a reply is kept. Retries come within seconds; people come back after minutes.
const REPLAY_WINDOW: Duration = Duration::from_mins(10);

/// One thing a person asked for, however often it is sent. Its parts are secret: they hold the person's token.
#[derive(Clone)]
pub struct Operation {
    pub id: String,
    pub kind: &'static str,
    pub payload: Vec<u8>,
}

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operation").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// How an operation ended, and so what stays of it.
#[derive(Debug)]
pub enum Outcome<R> {
    /// Its effects and its reply stay. Also for a refusal that counts.
    Commit(R),
    /// Its effects are undone; the reply and the activity row stay.
    Refuse(R, Entry),
    /// Nothing stays, so a repeat tries again.
    Fail(R),
}

/// A reply that can be stored.
pub trait Replay: Sized {
    fn to_stored(&self) -> Vec<u8>;
    /// `None`: these bytes are no stored reply.
    fn from_stored(stored: &[u8]) -> Option<Self>;
}

pub(super) async fn run<R, F>(tx: &mut Tx, operation: Option<Operation>, job: F) -> (Result<R, StoreError>, Effects)
where
    F: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, Outcome<R>> + Send,
    R: Replay,
{
    let claim = operation.map(|operation| Claim::of(tx, &operation));
    match attempt(tx, claim, job).await {
        Ok((reply, effects)) => (Ok(reply), effects),
        Err(error) => (Err(error), Effects::Undo),
    }
}

pub(super) async fn is_remembered(tx: &mut Tx, operation: &Operation) -> Result<bool, StoreError> {
    let claim = Claim::of(tx, operation);
    Ok(tx.operation_reply(&claim.digest).await?.is_some())
}

async fn attempt<R, F>(tx: &mut Tx, claim: Option<Claim>, job: F) -> Result<(R, Effects), StoreError>
where
    F: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, Outcome<R>> + Send,
    R: Replay,
{
    let mut place = None;
    if let Some(claim) = &claim {
        place = claim.take(tx).await?;
        if place.is_none() {
            return Ok((claim.stored_reply(tx).await?, Effects::Keep));
        }
    }
    let reply = match job(tx).await {
        Outcome::Commit(reply) => reply,
        Outcome::Refuse(reply, entry) => {
            tx.undo().await?;
            tx.record(&entry).await?;
            if let Some(claim) = &claim {
                place = claim.take(tx).await?;
                if place.is_none() {
                    // Undoing let go of the claim for a moment, and a repeat took it, refused as this one, and was faster.
                    return Ok((claim.stored_reply(tx).await?, Effects::Undo));
                }
            }
            reply
        }
        Outcome::Fail(reply) => return Ok((reply, Effects::Undo)),
    };
    if let (Some(claim), Some(place)) = (&claim, &place) {
        let stored = reply.to_stored();
        claim.settle(tx, place, &stored).await?;
    }
    Ok((reply, Effects::Keep))
}

struct Claim {
    digest: [u8; 32],
}

impl Claim {
    fn of(tx: &Tx, operation: &Operation) -> Self {
        let Operation { id, kind, payload } = operation;
        Self { digest: tx.sealer().operation_digest(id.as_bytes(), kind, payload) }
    }

    fn place(&self) -> Place<'_> {
        Place { table: "operations", column: "sealed_reply", row: &self.digest }
    }

    /// Where its row is. `None`: somebody had it first, within the window.
    async fn take(&self, tx: &mut Tx) -> Result<Option<String>, StoreError> {
        let expires_at = tx.now().after(REPLAY_WINDOW);
        tx.claim_operation(&self.digest, expires_at).await
    }

    async fn settle(&self, tx: &mut Tx, place: &str, reply: &[u8]) -> Result<(), StoreError> {
        let sealed = tx.sealer().seal(self.place(), reply);
        tx.settle_operation(place, &sealed).await
    }

    async fn stored_reply<R: Replay>(&self, tx: &mut Tx) -> Result<R, StoreError> {
        let damaged = StoreError::Damaged { table: "operations" };
        let Some(sealed) = tx.operation_reply(&self.digest).await? else { return Err(damaged) };
        let stored = tx.sealer().open(self.place(), &sealed)?;
        R::from_stored(&stored).ok_or(damaged)
    }
}
