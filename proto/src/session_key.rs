//! A key that seals session cookies, as it travels.

use crate::limits::SESSION_KEY_LENGTH;

/// Domain of the hash that makes a key's id: SHA-256 over this and the key, first 8 bytes.
pub const ID_DOMAIN: &[u8] = b"postern session key id";

/// Length of a key's id, in bytes.
pub const ID_LENGTH: usize = 8;

/// A session key has the wrong length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a session key has {found} bytes, expected {SESSION_KEY_LENGTH}")]
pub struct WrongLength {
    /// Bytes that were received.
    pub found: usize,
}

/// Checks the length of a key that came over the wire.
///
/// # Errors
/// [`WrongLength`] unless there are exactly [`SESSION_KEY_LENGTH`] bytes.
pub fn parse(key: &[u8]) -> Result<&[u8; SESSION_KEY_LENGTH], WrongLength> {
    key.try_into().map_err(|_| WrongLength { found: key.len() })
}
