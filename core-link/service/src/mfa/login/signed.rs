//! Logins that a phone passes: its own, and those that it approves for another device of its person.
//!
//! A wrong signature counts like every other wrong proof, but no delay and no lock keeps a right one out: nobody
//! guesses a signature, and so nobody who fails in a person's name can keep their phone out.

use super::{
    Method,
    finish::{FinishError, LoginSession, ShownLogin},
};
use crate::{
    activity::Factor,
    device::DeviceId,
    mfa::{
        Side, attempts,
        phone::{Challenge, PhoneKey},
    },
    store::Tx,
};

/// The phone that has signed this login's challenge. For a login of its own only the device that began it counts; any
/// phone of the same person approves another device's.
pub(super) async fn signer(
    tx: &mut Tx,
    session: &LoginSession,
    shown: &ShownLogin,
) -> Result<Option<DeviceId>, FinishError> {
    let Some(challenge) = Challenge::of(tx.sealer(), shown.instance, session.method, &shown.token) else {
        return Ok(None);
    };
    let phone = if session.method == Method::Biometric {
        tx.phone_key(session.device).await?.map(|key| (session.device, key))
    } else {
        let text = shown.phone_key.as_deref().ok_or(FinishError::NoPhoneKey)?;
        match PhoneKey::parse(text) {
            Ok(key) => tx.phone_with_key(session.person, &key).await?.map(|device| (device, key)),
            Err(_) => None,
        }
    };
    Ok(phone.filter(|(_, key)| key.has_signed(&challenge, &shown.code)).map(|(device, _)| device))
}

/// `None`: the signature is wrong.
pub(super) async fn accept(
    tx: &mut Tx,
    session: &LoginSession,
    side: Side,
    signer: Option<DeviceId>,
) -> Result<(), FinishError> {
    if signer.is_some() {
        return Ok(tx.forgive_attempts(session.person, side).await?);
    }
    tx.ensure_counters(session.person).await?;
    attempts::count::<FinishError>(tx, session.person, side).await?;
    Err(FinishError::WrongSignature)
}

pub(super) fn factor(method: Method) -> Option<Factor> {
    match method {
        Method::Biometric => Some(Factor::Biometric),
        Method::MobileApproval => Some(Factor::MobileApproval),
        Method::OpenId => Some(Factor::OpenId),
        Method::Totp | Method::Email => None,
    }
}
