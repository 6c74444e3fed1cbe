//! A phone's key: an Ed25519 key that a finger or a face unlocks, and the challenges that it signs.
//!
//! It is a factor of its own. Its private half never leaves the phone, so what Core keeps is worth nothing to whoever
//! reads the database.

use std::fmt;

use aws_lc_rs::digest::SHA256_OUTPUT_LEN;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use ed25519_dalek::{SIGNATURE_LENGTH, Signature, VerifyingKey};

use super::{Code, login::Method};
use crate::{
    activity::Attempt,
    device::PublicKey,
    enrollment::{TokenError, person_session},
    instance::InstanceId,
    mail::{self, MailUse, Message},
    sealing::Sealer,
    store::{StoreError, Tx},
    token::Token,
};

/// A key that can be relied on: under one of small order, or one with two spellings, others could sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhoneKey(VerifyingKey);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the key of a phone")]
pub struct InvalidPhoneKey;

/// What a phone signs. It names what for, where, and in which login, so that a signature is worth nothing elsewhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Challenge(String);

/// A key that a phone brings, and what it shows with it.
#[derive(Debug, Clone)]
pub struct Registration {
    pub token: Token,
    pub device: PublicKey,
    pub key: PhoneKey,
    pub mail: MailUse,
}

#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error("user is disabled")]
    Disabled,
    /// Unknown, or somebody else's, which a stranger need not learn.
    #[error("the person has no such device")]
    DeviceUnknown,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl PhoneKey {
    /// From base64, as clients send it.
    pub fn parse(text: &str) -> Result<Self, InvalidPhoneKey> {
        Self::from_bytes(&STANDARD.decode(text).map_err(|_| InvalidPhoneKey)?)
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidPhoneKey> {
        let bytes = bytes.try_into().map_err(|_| InvalidPhoneKey)?;
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| InvalidPhoneKey)?;
        let is_canonical = key.to_edwards().compress().as_bytes() == bytes;
        if key.is_weak() || !is_canonical { Err(InvalidPhoneKey) } else { Ok(Self(key)) }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Whether this is the key's signature, in base64, of the challenge.
    pub(super) fn has_signed(&self, challenge: &Challenge, signature: &Code) -> bool {
        let Ok(bytes) = STANDARD.decode(signature.as_bytes()) else { return false };
        let Ok(bytes) = <[u8; SIGNATURE_LENGTH]>::try_from(bytes) else { return false };
        self.0.verify_strict(challenge.0.as_bytes(), &Signature::from_bytes(&bytes)).is_ok()
    }
}

impl Challenge {
    /// A function of the login's token, which is random and nobody else's: nothing to store, and any Core can check it.
    /// `None`: this method has none.
    pub fn of(sealer: &Sealer, instance: InstanceId, method: Method, token: &Token) -> Option<Self> {
        let purpose = match method {
            Method::Biometric => "login",
            Method::MobileApproval => "approval",
            Method::Totp | Method::Email | Method::OpenId => return None,
        };
        let instance = instance.to_string();
        // Never equal to the digest of a token: those have no zero byte.
        let named = ["challenge", purpose, &instance, token.expose()].join("\0");
        let digest: [u8; SHA256_OUTPUT_LEN] = sealer.token_digest(named.as_bytes());
        Some(Self(format!("postern-{purpose}-v1.{instance}.{}", URL_SAFE_NO_PAD.encode(digest))))
    }

    /// For the device that began the login, and for whomever it shows this.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Challenge(***)")
    }
}

/// Keeps the key of a device's phone, in place of an older one, in any open session of its owner: whoever holds a
/// session may add a device with a key of its own, so to refuse a new key would protect nothing, and would strand a
/// phone whose app was installed anew. The person hears of each new one by mail.
pub async fn register(tx: &mut Tx, shown: &Registration, attempt: &mut Attempt) -> Result<(), RegisterError> {
    let session = person_session::<RegisterError>(tx, &shown.token, attempt).await?;
    if session.person.is_disabled {
        return Err(RegisterError::Disabled);
    }
    let device = tx.device_by_key(&shown.device).await?.map(|(device, _)| device);
    let device = device.filter(|device| device.person_id == Some(session.person.id));
    let device = device.ok_or(RegisterError::DeviceUnknown)?;
    if tx.keep_phone_key(device.id, &shown.key).await? {
        let message = Message::FactorAdded { factor: "phone".to_owned(), at: tx.now() };
        mail::notify(tx, shown.mail, &session.person, message).await?;
    }
    tx.record(&attempt.done().with_detail(format!("device {}", device.id.as_i64()))).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    #[test]
    fn keys_under_which_others_could_sign_are_none() {
        for (key, why) in [
            ("0100000000000000000000000000000000000000000000000000000000000000", "the neutral element"),
            ("0000000000000000000000000000000000000000000000000000000000000000", "of order 4"),
            ("0000000000000000000000000000000000000000000000000000000000000080", "of order 4"),
            ("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "of order 2"),
            ("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", "of order 8"),
            ("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", "of order 8"),
            ("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "1, spelled otherwise"),
            ("f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "3, spelled otherwise"),
            ("0200000000000000000000000000000000000000000000000000000000000000", "no point of the curve"),
            ("ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", "no number of the field"),
        ] {
            assert_eq!(PhoneKey::from_bytes(&hex(key)), Err(InvalidPhoneKey), "{why}");
        }
        for length in [0, 31, 33, 64] {
            assert_eq!(PhoneKey::from_bytes(&vec![7; length]), Err(InvalidPhoneKey), "{length}");
        }
    }

    #[test]
    fn a_signature_is_as_rfc_8032_says() {
        // Section 7.1, test 2; the message is one byte.
        let key =
            PhoneKey::from_bytes(&hex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")).unwrap();
        let signature = hex("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
                             085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00");
        let signed = Challenge("r".to_owned());
        let other = Challenge("s".to_owned());
        let code = Code::new(STANDARD.encode(&signature));
        assert!(key.has_signed(&signed, &code));
        assert!(!key.has_signed(&other, &code));
        for broken in [String::new(), STANDARD.encode(&signature[..63]), STANDARD.encode([0; 64]), "r".repeat(88)] {
            assert!(!key.has_signed(&signed, &Code::new(broken.clone())), "{broken}");
        }
    }
}
