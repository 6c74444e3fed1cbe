//! What a passed login is worth: for some hours the device may be in the location, under a key made for that.

use std::fmt;

use aws_lc_rs::rand;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

pub(crate) const KEY_LENGTH: usize = 32;

/// WireGuard's preshared key between a device and a location.
#[derive(Clone, PartialEq, Eq)]
pub struct PresharedKey(Zeroizing<[u8; KEY_LENGTH]>);

impl PresharedKey {
    pub(super) fn random() -> Self {
        let mut key = Zeroizing::new([0; KEY_LENGTH]);
        rand::fill(&mut *key).expect("the system's random numbers are available");
        Self(key)
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self(Zeroizing::new(bytes.try_into().ok()?)))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// As WireGuard's tools write it.
    pub fn to_base64(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(self.0.as_slice()))
    }
}

impl fmt::Debug for PresharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PresharedKey(***)")
    }
}
