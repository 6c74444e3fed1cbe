//! Codes by e-mail as a second factor, where the administrator allows them: weaker than an app or a phone, because a
//! mailbox is not bound to a device (NIST SP 800-63B does not count e-mail at all).
//!
//! Six digits from the system's random numbers, stored as a keyed digest, good for one use in the one set-up or login
//! that they were mailed for. Guesses are counted with those of apps, and a new code forgets none of them.

use std::{fmt, time::Duration};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use rand::{Rng as _, TryRngCore as _, rngs::OsRng};
use zeroize::Zeroizing;

use super::{
    Code, RecoveryCode, attempts,
    setup::{Confirmation, FinishError, StartError, check_all, check_begun, conclude},
};
use crate::{
    activity::{Attempt, Factor},
    clock::Timestamp,
    enrollment::{EnrollmentTokenId, PersonSession, person_session},
    mail::{self, Message, Posted},
    person::PersonId,
    sealing::Sealer,
    secret::Secret,
    store::{Store, StoreError, Tx},
    token::Token,
};

/// NIST SP 800-63B for a secret that travels out of band.
const LIFETIME: Duration = Duration::from_mins(10);

/// In the clear: on its way to its owner.
#[derive(Clone)]
pub(super) struct MailCode(Zeroizing<String>);

/// What is stored of a code that was mailed for a set-up.
#[derive(Clone, Copy)]
pub(crate) struct PendingCode {
    pub(crate) digest: [u8; 32],
    pub(crate) expires_at: Timestamp,
}

impl MailCode {
    pub(super) fn random() -> Self {
        Self(Zeroizing::new(format!("{:06}", OsRng.unwrap_err().random_range(0..1_000_000))))
    }

    pub(super) fn message(&self, valid_until: Timestamp) -> Message {
        Message::MailCode { code: Secret::new(self.0.to_string()), valid_until }
    }

    pub(super) fn digest(&self, sealer: &Sealer, scope: &[u8]) -> [u8; 32] {
        digest(sealer, scope, self.0.as_bytes())
    }
}

impl fmt::Debug for MailCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MailCode(***)")
    }
}

impl fmt::Debug for PendingCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingCode").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// Mails a code to the person whose session this is. A newer one replaces it.
pub async fn start(tx: &mut Tx, token: &Token, attempt: &mut Attempt) -> Result<(), StartError> {
    let session = person_session::<StartError>(tx, token, attempt).await?;
    check_all::<StartError>(tx, &session).await?;
    let expires_at = tx.now().after(LIFETIME);
    let code = MailCode::random();
    if mail::post(tx, &session.person, code.message(expires_at), expires_at).await? == Posted::NotTaken {
        return Err(StartError::TooManyMails);
    }
    let digest = code.digest(tx.sealer(), &scope(session.person.id, session.id));
    tx.ensure_counters(session.person.id).await?;
    tx.begin_mail_setup(session.person.id, session.id, &PendingCode { digest, expires_at }).await?;
    tx.record(&attempt.done()).await?;
    Ok(())
}

/// The first look, by a reader: whoever is refused here never reaches the writer.
pub async fn may_finish(
    store: &Store,
    shown: Confirmation,
    mut attempt: Attempt,
) -> Result<(Attempt, Option<FinishError>), StoreError> {
    store
        .read(|tx| {
            Box::pin(async move {
                match admit(tx, &shown, &mut attempt).await {
                    Ok(_) => Ok((attempt, None)),
                    Err(FinishError::Store(error)) => Err(error),
                    Err(refusal) => Ok((attempt, Some(refusal))),
                }
            })
        })
        .await
}

/// Confirms that the person reads their mail, and gives recovery codes in place of all older ones.
pub async fn finish(
    tx: &mut Tx,
    shown: &Confirmation,
    attempt: &mut Attempt,
) -> Result<Vec<RecoveryCode>, FinishError> {
    let session = admit(tx, shown, attempt).await?;
    let (person, side) = (session.person.id, shown.whereabouts.proven_side());
    attempts::count::<FinishError>(tx, person, side).await?;
    let pending = tx.pending_mail_code(person).await?.ok_or(FinishError::NotBegun)?;
    let is_right = is_code(tx.sealer(), &scope(person, session.id), &shown.code, &pending.digest);
    if !is_right || pending.expires_at <= tx.now() {
        return Err(FinishError::WrongMailCode);
    }
    tx.confirm_mail_setup(person, session.id).await?;
    Ok(conclude(tx, &session, shown, "codes by e-mail", attempt).await?)
}

async fn admit(tx: &mut Tx, shown: &Confirmation, attempt: &mut Attempt) -> Result<PersonSession, FinishError> {
    attempt.shows(Factor::MailCode);
    let session = person_session::<FinishError>(tx, &shown.token, attempt).await?;
    check_all::<FinishError>(tx, &session).await?;
    let state = tx.mail_setup_state(session.person.id).await?.ok_or(FinishError::NotBegun)?;
    check_begun(tx, &session, &state, shown).await?;
    Ok(session)
}

/// Whether this is the code that was stored for this scope.
pub(super) fn is_code(sealer: &Sealer, scope: &[u8], shown: &Code, stored: &[u8]) -> bool {
    verify_slices_are_equal(&digest(sealer, scope, shown.as_bytes()), stored).is_ok()
}

fn scope(person: PersonId, session: EnrollmentTokenId) -> [u8; 16] {
    let mut scope = [0; 16];
    scope[..8].copy_from_slice(&person.as_i64().to_be_bytes());
    scope[8..].copy_from_slice(&session.0.to_be_bytes());
    scope
}

/// Never equal to that of any token: those have no zero byte.
fn digest(sealer: &Sealer, scope: &[u8], code: &[u8]) -> [u8; 32] {
    let named = Zeroizing::new([b"mail code", scope, code].join(&0));
    sealer.token_digest(&named)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sealing::MasterKey;

    #[test]
    fn a_code_has_six_digits_and_counts_in_its_own_scope() {
        let sealer = Sealer::new(&MasterKey::random());
        let code = MailCode::random();
        assert!(code.0.len() == 6 && code.0.bytes().all(|byte| byte.is_ascii_digit()));
        let stored = code.digest(&sealer, b"one");
        assert!(is_code(&sealer, b"one", &Code::new(code.0.to_string()), &stored));
        assert!(!is_code(&sealer, b"two", &Code::new(code.0.to_string()), &stored));
        assert!(!is_code(&sealer, b"one", &Code::new("x".to_owned()), &stored));
    }
}
