//! Time-based codes as authenticator apps make them: SHA-1, six digits, 30 seconds (RFC 6238 with its defaults, the
//! only ones that all apps know).
//!
//! A code counts in its own 30 seconds and in the 30 after, because people type slowly; never before its time.

use std::fmt;

use aws_lc_rs::rand;
use totp_rs::{Builder, Secret};
use zeroize::Zeroizing;

use super::recovery;
use crate::{activity::Factor, clock::Timestamp};

pub(crate) const SEED_LENGTH: usize = 20;
const DIGITS: usize = 6;
const STEP_SECONDS: u64 = 30;

/// What an app and Core share.
#[derive(Clone, PartialEq, Eq)]
pub struct Seed(Zeroizing<[u8; SEED_LENGTH]>);

/// A seed as it rests in the store. Opened only after the attempt is counted.
#[derive(Debug, Clone)]
pub struct SealedSeed(pub(crate) Vec<u8>);

/// What a person typed where a code is asked for.
#[derive(Clone)]
pub struct Code {
    text: Zeroizing<String>,
    factor: Option<Factor>,
}

impl Seed {
    pub fn random() -> Self {
        let mut seed = Zeroizing::new([0; SEED_LENGTH]);
        rand::fill(&mut *seed).expect("the system's random numbers are available");
        Self(seed)
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self(Zeroizing::new(bytes.try_into().ok()?)))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// For an app: base32 without padding.
    pub fn to_base32(&self) -> Zeroizing<String> {
        Zeroizing::new(Secret::new_stack(*self.0).to_base32())
    }

    /// The newest step, counted from 1970, that this code belongs to and that is not over for too long.
    pub(super) fn step_of(&self, code: &Code, now: Timestamp) -> Option<i64> {
        if code.factor != Some(Factor::Totp) {
            return None;
        }
        let totp =
            Builder::new().with_skew(0).with_step_duration(STEP_SECONDS).with_secret(*self.0).build_noncompliant();
        let now = u64::try_from(now.as_unix()).ok()?;
        let current = totp.check(&code.text, now);
        let previous = totp.check(&code.text, now.saturating_sub(STEP_SECONDS));
        current.or(previous).and_then(|step| i64::try_from(step).ok())
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(***)")
    }
}

impl Code {
    /// Apps show codes in groups, and some people type them so.
    pub fn new(text: String) -> Self {
        let text = Zeroizing::new(text);
        let text = Zeroizing::new(text.split_ascii_whitespace().collect::<String>());
        let is_totp = text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
        let factor = match is_totp {
            true => Some(Factor::Totp),
            false => recovery::is_code(&text).then_some(Factor::RecoveryCode),
        };
        Self { text, factor }
    }

    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Which factor it can belong to. `None`: to neither, so it is wrong without looking.
    pub fn factor(&self) -> Option<Factor> {
        self.factor
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B: 8 digits there, of which these are the last six.
    const RFC: [(i64, &str); 4] =
        [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924"), (20_000_000_000, "353130")];

    fn seed() -> Seed {
        Seed::from_bytes(b"12345678901234567890").unwrap()
    }

    fn step(code: &str, now: i64) -> Option<i64> {
        seed().step_of(&Code::new(code.to_owned()), Timestamp::from_unix(now))
    }

    #[test]
    fn codes_are_those_of_rfc_6238() {
        for (at, code) in RFC {
            assert_eq!(step(code, at), Some(at / 30), "at {at}");
        }
    }

    #[test]
    fn a_code_counts_in_its_own_step_and_in_the_next_only() {
        // 59 is the last second of step 1, which began at 30.
        for (now, expected) in [(29, None), (30, Some(1)), (59, Some(1)), (60, Some(1)), (89, Some(1)), (90, None)] {
            assert_eq!(step("287082", now), expected, "at {now}");
        }
    }

    #[test]
    fn groups_are_joined_and_anything_else_is_no_code() {
        assert_eq!(step(" 287 082\n", 59), Some(1));
        for code in ["", "28708", "2870820", "+87082", "28708٢", "0x4616a", "287082\u{0}"] {
            assert_eq!(step(code, 59), None, "{code:?}");
        }
    }

    #[test]
    fn a_seed_is_shown_as_32_characters_of_base32() {
        assert_eq!(*seed().to_base32(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert_ne!(Seed::random(), Seed::random());
    }

    #[test]
    fn a_time_before_1970_is_no_panic() {
        assert_eq!(step("287082", -5), None);
    }
}
