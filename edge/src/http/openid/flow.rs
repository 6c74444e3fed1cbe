//! What a login at a provider is for: clients send a name, or the number that goes to Core.

use std::fmt;

use postern_proto::client_types::AuthFlowType;
use serde::{Deserialize, Deserializer, de};

use super::super::body::BodyError;

/// `None` for a name or number of no flow.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct LoginFlow(Option<AuthFlowType>);

impl LoginFlow {
    pub(super) fn known(self) -> Result<AuthFlowType, BodyError> {
        self.0.ok_or(BodyError::UnknownFlow)
    }

    pub(super) fn expect(self, expected: AuthFlowType) -> Result<(), BodyError> {
        if self.0 == Some(expected) { Ok(()) } else { Err(BodyError::UnknownFlow) }
    }
}

impl<'de> Deserialize<'de> for LoginFlow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrName;
        impl de::Visitor<'_> for NumberOrName {
            type Value = LoginFlow;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number or a name")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<LoginFlow, E> {
                Ok(LoginFlow(match number {
                    1 => Some(AuthFlowType::Enrollment),
                    2 => Some(AuthFlowType::Mfa),
                    _ => None,
                }))
            }

            fn visit_i64<E: de::Error>(self, _negative: i64) -> Result<LoginFlow, E> {
                Ok(LoginFlow(None))
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<LoginFlow, E> {
                Ok(LoginFlow(match name {
                    "enrollment" => Some(AuthFlowType::Enrollment),
                    "mfa" => Some(AuthFlowType::Mfa),
                    _ => None,
                }))
            }
        }
        deserializer.deserialize_any(NumberOrName)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(json: &str) -> Option<i32> {
        serde_json::from_str::<LoginFlow>(json).unwrap().known().ok().map(Into::into)
    }

    #[test]
    fn a_flow_has_a_name_and_a_number() {
        for (name, number) in [(r#""enrollment""#, 1), (r#""mfa""#, 2)] {
            assert_eq!((flow(name), flow(&number.to_string())), (Some(number), Some(number)));
        }
    }

    #[test]
    fn what_names_no_flow_is_none() {
        for json in [r#""""#, r#""Enrollment""#, r#""MFA""#, r#""1""#, "0", "3", "-1", "18446744073709551615"] {
            assert_eq!(flow(json), None, "{json}");
        }
        for json in ["null", "true", "1.5", "[1]", r#"{"mfa":null}"#] {
            assert!(serde_json::from_str::<LoginFlow>(json).is_err(), "{json}");
        }
    }
}
