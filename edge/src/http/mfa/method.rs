//! The kind of a second factor in a body: clients send its number, or in the set-up its name.

use std::fmt;

use postern_proto::client_types::MfaMethod;
use serde::{Deserialize, Deserializer, de};

use super::super::body::BodyError;

/// The number as it goes to Core, which knows what it supports; `None` for a name or number that cannot be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) struct Method(Option<i32>);

impl Method {
    pub(in crate::http) fn number(self) -> Result<i32, BodyError> {
        self.0.ok_or(BodyError::UnknownMethod)
    }

    fn named(name: &str) -> Self {
        let method = match name {
            "Totp" => MfaMethod::Totp,
            "Email" => MfaMethod::Email,
            "Oidc" => MfaMethod::Oidc,
            "Biometric" => MfaMethod::Biometric,
            "MobileApprove" => MfaMethod::MobileApprove,
            _ => return Self(None),
        };
        Self(Some(method.into()))
    }
}

impl<'de> Deserialize<'de> for Method {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrName;
        impl de::Visitor<'_> for NumberOrName {
            type Value = Method;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number or a name")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Method, E> {
                Ok(Method(number.try_into().ok()))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Method, E> {
                Ok(Method(number.try_into().ok()))
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Method, E> {
                Ok(Method::named(name))
            }
        }
        deserializer.deserialize_any(NumberOrName)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(json: &str) -> Option<i32> {
        serde_json::from_str::<Method>(json).unwrap().number().ok()
    }

    #[test]
    fn a_method_has_a_number_and_a_name() {
        for (name, expected) in [("Totp", 0), ("Email", 1), ("Oidc", 2), ("Biometric", 3), ("MobileApprove", 4)] {
            assert_eq!(number(&format!("\"{name}\"")), Some(expected));
            assert_eq!(number(&expected.to_string()), Some(expected));
        }
    }

    #[test]
    fn a_number_that_nobody_knows_here_is_left_to_core() {
        assert_eq!((number("5"), number("-1")), (Some(5), Some(-1)));
    }

    #[test]
    fn what_names_no_method_is_none() {
        for json in [r#""""#, r#""totp""#, r#""TOTP""#, r#""0""#, "2147483648", "-2147483649", "18446744073709551615"] {
            assert_eq!(number(json), None, "{json}");
        }
        for json in ["null", "true", "0.5", "[0]", r#"{"Totp":null}"#] {
            assert!(serde_json::from_str::<Method>(json).is_err(), "{json}");
        }
    }
}
