//! A report, tidied: whatever a device sends becomes one, because a strange report must shut nobody out.

use serde::{Deserialize, Serialize};

/// Longest text in a report.
const TEXT_MAX: usize = 128;

/// What a device told about itself. `None`: it did not say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub client_version: String,
    pub os_type: String,
    pub os_name: Option<Finding<String>>,
    pub os_version: Option<Finding<String>>,
    pub disk_encryption: Option<Finding<bool>>,
    pub antivirus_present: Option<Finding<bool>>,
    pub windows_ad_domain_joined: Option<Finding<bool>>,
    pub windows_security_update_current: Option<Finding<bool>>,
    pub linux_kernel_version: Option<Finding<String>>,
    pub device_integrity: Option<Finding<bool>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding<T> {
    Value(T),
    Unavailable(Reason),
}

/// Why a device could not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    NotSaid,
    InsufficientPermissions,
    NotApplicable,
    DetectionFailed,
}

impl Report {
    /// With every text in bounds and without characters that steer a terminal.
    #[must_use]
    pub fn tidied(self) -> Self {
        Self {
            client_version: tidied(self.client_version),
            os_type: tidied(self.os_type),
            os_name: self.os_name.map(Finding::tidied),
            os_version: self.os_version.map(Finding::tidied),
            linux_kernel_version: self.linux_kernel_version.map(Finding::tidied),
            ..self
        }
    }
}

impl Finding<String> {
    fn tidied(self) -> Self {
        match self {
            Self::Value(text) => Self::Value(tidied(text)),
            Self::Unavailable(reason) => Self::Unavailable(reason),
        }
    }
}

fn tidied(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(TEXT_MAX));
    text.retain(|character| !character.is_control());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_and_lose_what_steers_a_terminal() {
        assert_eq!(tidied("Debian\u{1b}[2J 13\n\u{0}".to_owned()), "Debian[2J 13");
        assert_eq!(tidied("ü".repeat(100)).len(), TEXT_MAX);
        assert_eq!(tidied(format!("x{}", "ü".repeat(100))).len(), TEXT_MAX - 1);
        let finding = Finding::Value("a\tb".to_owned());
        assert_eq!(finding.tidied(), Finding::Value("ab".to_owned()));
    }
}
