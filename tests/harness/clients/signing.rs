//! The key that a phone keeps to itself.

use anyhow::{Context, Result};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, engine::general_purpose::STANDARD};

/// Signs what a finger unlocks.
#[derive(Debug)]
pub(super) struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    pub(super) fn new() -> Result<Self> {
        Ed25519KeyPair::generate().ok().context("no key").map(Self)
    }

    /// 32 bytes in base64, as it is registered.
    pub(super) fn public(&self) -> String {
        STANDARD.encode(self.0.public_key())
    }

    /// Over the text as it came, in base64.
    pub(super) fn sign(&self, challenge: &str) -> String {
        STANDARD.encode(self.0.sign(challenge.as_bytes()))
    }
}
