//! The nonce of a sign-in: all that is known of it until it ends.
//!
//! Anybody may begin a sign-in, so a beginning is not stored. The nonce carries its own expiry under a MAC that also
//! covers what the sign-in is for, and the PKCE verifier follows from it, so any Core can end what another began.

use std::time::Duration;

use aws_lc_rs::{constant_time, rand};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use crate::{clock::Timestamp, sealing::Sealer, token::Token};

/// As long as somebody may look for a second factor at the provider.
const LIFETIME: Duration = Duration::from_mins(10);
const RANDOM_LENGTH: usize = 16;
const HEAD_LENGTH: usize = RANDOM_LENGTH + size_of::<i64>();
const LENGTH: usize = HEAD_LENGTH + 32;

/// What a sign-in is for.
#[derive(Debug, Clone, Copy)]
pub enum Flow<'a> {
    Enrollment,
    /// Of this login, and of no other.
    Mfa(&'a Token),
}

/// The nonce of one sign-in, as the browser keeps it and the provider repeats it.
#[derive(Clone)]
pub struct Nonce {
    text: Zeroizing<String>,
    expires_at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NonceError {
    #[error("the nonce is not of this sign-in")]
    Foreign,
    #[error("the sign-in took too long")]
    Expired,
}

impl Nonce {
    pub(super) fn new(flow: Flow<'_>, sealer: &Sealer, now: Timestamp) -> Self {
        let expires_at = now.after(LIFETIME);
        let mut bytes = Zeroizing::new([0; LENGTH]);
        rand::fill(&mut bytes[..RANDOM_LENGTH]).expect("the system's random numbers are available");
        bytes[RANDOM_LENGTH..HEAD_LENGTH].copy_from_slice(&expires_at.as_unix().to_be_bytes());
        let mac = mac(flow, &bytes[..HEAD_LENGTH], sealer);
        bytes[HEAD_LENGTH..].copy_from_slice(&mac);
        Self { text: Zeroizing::new(URL_SAFE_NO_PAD.encode(*bytes)), expires_at }
    }

    /// Reads what came back, if it is ours and belongs to this flow.
    pub fn parse(text: String, flow: Flow<'_>, sealer: &Sealer, now: Timestamp) -> Result<Self, NonceError> {
        let text = Zeroizing::new(text);
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text.as_bytes()).map_err(|_| NonceError::Foreign)?);
        let bytes: &[u8; LENGTH] = bytes.as_slice().try_into().map_err(|_| NonceError::Foreign)?;
        let (head, shown) = bytes.split_at(HEAD_LENGTH);
        constant_time::verify_slices_are_equal(&mac(flow, head, sealer), shown).map_err(|_| NonceError::Foreign)?;
        let expiry = head[RANDOM_LENGTH..].try_into().map_err(|_| NonceError::Foreign)?;
        let expires_at = Timestamp::from_unix(i64::from_be_bytes(expiry));
        if expires_at <= now { Err(NonceError::Expired) } else { Ok(Self { text, expires_at }) }
    }

    /// For the browser and the provider.
    pub fn expose(&self) -> &str {
        &self.text
    }

    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// What is stored of it.
    pub fn digest(&self, sealer: &Sealer) -> [u8; 32] {
        sealer.openid_mac("used nonce", &[self.text.as_bytes()])
    }

    /// RFC 7636: what proves to the provider that whoever redeems the code began the sign-in. Only Core knows it.
    pub(super) fn pkce_verifier(&self, sealer: &Sealer) -> Zeroizing<String> {
        let verifier = Zeroizing::new(sealer.openid_mac("PKCE", &[self.text.as_bytes()]));
        Zeroizing::new(URL_SAFE_NO_PAD.encode(*verifier))
    }
}

impl std::fmt::Debug for Nonce {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Nonce(***)")
    }
}

fn mac(flow: Flow<'_>, head: &[u8], sealer: &Sealer) -> [u8; 32] {
    match flow {
        Flow::Enrollment => sealer.openid_mac("enrollment", &[head]),
        Flow::Mfa(token) => sealer.openid_mac("mfa", &[head, token.expose().as_bytes()]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sealing::MasterKey;

    const NOW: Timestamp = Timestamp::from_unix(1_795_000_000);

    fn sealer() -> Sealer {
        Sealer::new(&MasterKey::random())
    }

    fn parse(text: &str, flow: Flow<'_>, sealer: &Sealer) -> Result<Nonce, NonceError> {
        Nonce::parse(text.to_owned(), flow, sealer, NOW)
    }

    #[test]
    fn a_nonce_is_worth_something_in_its_own_flow_only() {
        let (sealer, token, other) = (sealer(), Token::random(), Token::random());
        let flows = [Flow::Enrollment, Flow::Mfa(&token), Flow::Mfa(&other)];
        for (made, flow) in flows.iter().enumerate() {
            let nonce = Nonce::new(*flow, &sealer, NOW);
            for (shown, flow) in flows.iter().enumerate() {
                assert_eq!(parse(nonce.expose(), *flow, &sealer).is_ok(), made == shown, "{made} as {shown}");
            }
        }
    }

    #[test]
    fn a_nonce_ends_with_its_lifetime() {
        let sealer = sealer();
        let nonce = Nonce::new(Flow::Enrollment, &sealer, NOW);
        let at = |now| Nonce::parse(nonce.expose().to_owned(), Flow::Enrollment, &sealer, now).map(drop);
        assert_eq!(at(Timestamp::from_unix(NOW.as_unix() + 599)), Ok(()));
        assert_eq!(at(Timestamp::from_unix(NOW.as_unix() + 600)), Err(NonceError::Expired));
    }

    #[test]
    fn what_was_changed_cut_or_made_by_others_is_no_nonce() {
        let sealer = sealer();
        let nonce = Nonce::new(Flow::Enrollment, &sealer, NOW);
        let bytes = URL_SAFE_NO_PAD.decode(nonce.expose()).unwrap();
        for position in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[position] ^= 1;
            assert!(parse(&URL_SAFE_NO_PAD.encode(&changed), Flow::Enrollment, &sealer).is_err(), "byte {position}");
            assert!(parse(&URL_SAFE_NO_PAD.encode(&bytes[..position]), Flow::Enrollment, &sealer).is_err());
        }
        assert!(parse(nonce.expose(), Flow::Enrollment, &self::sealer()).is_err());
        assert!(parse("n", Flow::Enrollment, &sealer).is_err());
    }

    #[test]
    fn a_verifier_follows_from_the_nonce_and_cannot_be_told_from_it() {
        let sealer = sealer();
        let nonce = Nonce::new(Flow::Enrollment, &sealer, NOW);
        let again = parse(nonce.expose(), Flow::Enrollment, &sealer).unwrap();
        assert_eq!(nonce.pkce_verifier(&sealer), again.pkce_verifier(&sealer));
        assert_eq!(nonce.pkce_verifier(&sealer).len(), 43);
        assert_ne!(nonce.pkce_verifier(&sealer), nonce.pkce_verifier(&self::sealer()));
    }
}
