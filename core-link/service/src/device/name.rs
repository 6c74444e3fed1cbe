//! What a device is called, and the key that it is known by.

use base64::{Engine as _, engine::general_purpose::STANDARD};

const NAME_MAX: usize = 64;
const KEY_LENGTH: usize = 32;

/// What its owner calls a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceName(String);

/// A WireGuard public key in its one canonical form: 32 bytes in padded standard base64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDevice {
    #[error("a device's name has 1 to {NAME_MAX} characters and no control characters")]
    Name,
    #[error("this is no WireGuard public key, which is 32 bytes in base64")]
    PublicKey,
}

impl DeviceName {
    pub fn parse(text: &str) -> Result<Self, InvalidDevice> {
        let text = text.trim();
        let is_name = !text.is_empty() && text.chars().count() <= NAME_MAX && !text.chars().any(char::is_control);
        if is_name { Ok(Self(text.to_owned())) } else { Err(InvalidDevice::Name) }
    }

    /// For clients that leave it to Core what the device is called.
    pub fn parse_optional(text: &str) -> Result<Option<Self>, InvalidDevice> {
        if text.trim().is_empty() { Ok(None) } else { Self::parse(text).map(Some) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PublicKey {
    pub fn parse(text: &str) -> Result<Self, InvalidDevice> {
        let bytes = STANDARD.decode(text).map_err(|_| InvalidDevice::PublicKey)?;
        // The decoder takes one spelling of each key only, so equal keys are equal texts.
        if bytes.len() == KEY_LENGTH { Ok(Self(text.to_owned())) } else { Err(InvalidDevice::PublicKey) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_spelling_of_32_bytes_is_a_key() {
        assert!(PublicKey::parse("BjoPl/4Qdi0se18RP6pHqPidrrF2iHnqKqFAL6Eh9IM=").is_ok());
        for text in [
            "",
            "nonsense",
            "BjoPl/4Qdi0se18RP6pHqPidrrF2iHnqKqFAL6Eh9IM",
            "BjoPl/4Qdi0se18RP6pHqPidrrF2iHnqKqFAL6Eh9IN=",
            "BjoPl_4Qdi0se18RP6pHqPidrrF2iHnqKqFAL6Eh9IM=",
            " BjoPl/4Qdi0se18RP6pHqPidrrF2iHnqKqFAL6Eh9IM=",
            "BjoPl/4Qdi0se18RP6pHqPidrrF2iHnqKqFAL6Eh9A==",
        ] {
            assert_eq!(PublicKey::parse(text), Err(InvalidDevice::PublicKey), "{text:?}");
        }
    }

    #[test]
    fn names_are_trimmed_and_bounded() {
        assert_eq!(DeviceName::parse("  laptop ").unwrap().as_str(), "laptop");
        assert!(DeviceName::parse(&"ü".repeat(64)).is_ok());
        for text in ["", "   ", "lap\ntop", &"ü".repeat(65)] {
            assert_eq!(DeviceName::parse(text), Err(InvalidDevice::Name), "{text:?}");
        }
    }

    #[test]
    fn no_name_is_not_a_bad_name() {
        assert_eq!(DeviceName::parse_optional("  "), Ok(None));
        assert_eq!(DeviceName::parse_optional("laptop"), DeviceName::parse("laptop").map(Some));
        assert_eq!(DeviceName::parse_optional("lap\ntop"), Err(InvalidDevice::Name));
    }
}
