//! Tokens: what a person or a device shows instead of a password.
//!
//! 32 letters and digits from the system's random numbers (190 bits). Only a digest of them is stored.

use std::fmt;

use rand::{Rng as _, TryRngCore as _, distr::Alphanumeric, rngs::OsRng};
use zeroize::Zeroizing;

use crate::sealing::Sealer;

const LENGTH: usize = 32;

/// A token in the clear: on its way to its owner, or just shown by somebody.
#[derive(Clone)]
pub struct Token(Zeroizing<String>);

/// What is stored of a token.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenDigest([u8; 32]);

/// Not the shape of a token of ours, so it cannot be a valid one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a token")]
pub struct NotAToken;

impl Token {
    pub fn random() -> Self {
        Self(Zeroizing::new(OsRng.unwrap_err().sample_iter(Alphanumeric).take(LENGTH).map(char::from).collect()))
    }

    pub fn parse(text: String) -> Result<Self, NotAToken> {
        let text = Zeroizing::new(text);
        let is_token = text.len() == LENGTH && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if is_token { Ok(Self(text)) } else { Err(NotAToken) }
    }

    /// For its owner's eyes.
    pub fn expose(&self) -> &str {
        &self.0
    }

    pub fn digest(&self, sealer: &Sealer) -> TokenDigest {
        TokenDigest(sealer.token_digest(self.0.as_bytes()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

impl TokenDigest {
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenDigest(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_random_token_parses_and_never_repeats() {
        let token = Token::random();
        assert!(Token::parse(token.expose().to_owned()).is_ok());
        assert_ne!(token.expose(), Token::random().expose());
    }

    #[test]
    fn anything_else_is_no_token() {
        for text in ["", "nope", &"x".repeat(31), &"x".repeat(33), &format!("{} ", "x".repeat(31)), &"é".repeat(16)] {
            assert!(Token::parse(text.to_owned()).is_err(), "{text:?}");
        }
    }

    #[test]
    fn debug_shows_no_token() {
        assert_eq!(format!("{:?}", Token::random()), "Token(***)");
    }
}
