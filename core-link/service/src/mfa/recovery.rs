//! Recovery codes: for people whose app is gone. Typed in place of the app's code, each worth one login.
//!
//! 16 letters and digits from the system's random numbers (95 bits), of which only a keyed digest is stored.

use std::fmt;

use rand::{Rng as _, TryRngCore as _, distr::Alphanumeric, rngs::OsRng};
use zeroize::Zeroizing;

use super::Code;
use crate::{
    activity::Factor,
    person::PersonId,
    sealing::Sealer,
    store::{StoreError, Tx},
};

const COUNT: usize = 8;
const LENGTH: usize = 16;

/// In the clear, once: on its way to its owner.
#[derive(Clone)]
pub struct RecoveryCode(Zeroizing<String>);

impl RecoveryCode {
    fn random() -> Self {
        Self(Zeroizing::new(OsRng.unwrap_err().sample_iter(Alphanumeric).take(LENGTH).map(char::from).collect()))
    }

    /// For its owner's eyes.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RecoveryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryCode(***)")
    }
}

pub(super) fn is_code(text: &str) -> bool {
    text.len() == LENGTH && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// New codes in place of all older ones.
pub(super) async fn replace(tx: &mut Tx, person: PersonId) -> Result<Vec<RecoveryCode>, StoreError> {
    let codes: Vec<_> = std::iter::repeat_with(RecoveryCode::random).take(COUNT).collect();
    tx.delete_recovery_codes(person).await?;
    for code in &codes {
        let digest = digest(tx.sealer(), person, code.0.as_bytes());
        tx.insert_recovery_code(person, &digest).await?;
    }
    Ok(codes)
}

/// Whether this is a code that can still be spent.
pub(super) async fn is_unspent(tx: &mut Tx, person: PersonId, code: &Code) -> Result<bool, StoreError> {
    if code.factor() != Some(Factor::RecoveryCode) {
        return Ok(false);
    }
    let digest = digest(tx.sealer(), person, code.as_bytes());
    tx.has_unspent_recovery_code(person, &digest).await
}

/// False: no such code, or it was used before.
pub(super) async fn spend(tx: &mut Tx, person: PersonId, code: &Code) -> Result<bool, StoreError> {
    let digest = digest(tx.sealer(), person, code.as_bytes());
    tx.spend_recovery_code(person, &digest).await
}

/// Bound to its person, and never equal to that of any token: those have no zero byte.
fn digest(sealer: &Sealer, person: PersonId, code: &[u8]) -> [u8; 32] {
    let named = Zeroizing::new([b"recovery code", person.as_i64().to_be_bytes().as_slice(), code].join(&0));
    sealer.token_digest(&named)
}
