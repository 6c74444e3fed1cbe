//! The JSON of a device's state: `{"os_name":{"result":{"Value":"Ubuntu"}}}`, or `{"Unavailable":2}` for a reason why
//! it is not known.

use std::fmt;

use postern_proto::posture::{BoolCheck, DevicePostureData, StringCheck, UnavailableReason, bool_check, string_check};
use serde::{Deserialize, Deserializer, de};

#[derive(Deserialize)]
pub(in crate::http) struct PostureReport {
    defguard_client_version: String,
    os_type: String,
    os_name: Option<Check<String>>,
    os_version: Option<Check<String>>,
    disk_encryption: Option<Check<bool>>,
    antivirus_present: Option<Check<bool>>,
    windows_ad_domain_joined: Option<Check<bool>>,
    windows_security_update_current: Option<Check<bool>>,
    linux_kernel_version: Option<Check<String>>,
    device_integrity: Option<Check<bool>>,
}

#[derive(Deserialize)]
struct Check<T> {
    result: Option<Finding<T>>,
}

#[derive(Deserialize)]
enum Finding<T> {
    Value(T),
    Unavailable(Reason),
}

/// A number, also one that is not known here, or a name.
struct Reason(i32);

impl From<PostureReport> for DevicePostureData {
    fn from(report: PostureReport) -> Self {
        Self {
            defguard_client_version: report.defguard_client_version,
            os_type: report.os_type,
            os_name: report.os_name.map(Into::into),
            os_version: report.os_version.map(Into::into),
            disk_encryption: report.disk_encryption.map(Into::into),
            antivirus_present: report.antivirus_present.map(Into::into),
            windows_ad_domain_joined: report.windows_ad_domain_joined.map(Into::into),
            windows_security_update_current: report.windows_security_update_current.map(Into::into),
            linux_kernel_version: report.linux_kernel_version.map(Into::into),
            device_integrity: report.device_integrity.map(Into::into),
        }
    }
}

impl From<Check<String>> for StringCheck {
    fn from(check: Check<String>) -> Self {
        let result = check.result.map(|finding| match finding {
            Finding::Value(text) => string_check::Result::Value(text),
            Finding::Unavailable(Reason(number)) => string_check::Result::Unavailable(number),
        });
        Self { result }
    }
}

impl From<Check<bool>> for BoolCheck {
    fn from(check: Check<bool>) -> Self {
        let result = check.result.map(|finding| match finding {
            Finding::Value(is_so) => bool_check::Result::Value(is_so),
            Finding::Unavailable(Reason(number)) => bool_check::Result::Unavailable(number),
        });
        Self { result }
    }
}

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrName;
        impl de::Visitor<'_> for NumberOrName {
            type Value = Reason;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number or a name")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Reason, E> {
                i32::try_from(number).map(Reason).map_err(E::custom)
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Reason, E> {
                i32::try_from(number).map(Reason).map_err(E::custom)
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Reason, E> {
                let reason = match name {
                    "Unspecified" => UnavailableReason::Unspecified,
                    "InsufficientPermissions" => UnavailableReason::InsufficientPermissions,
                    "NotApplicable" => UnavailableReason::NotApplicable,
                    "DetectionFailed" => UnavailableReason::DetectionFailed,
                    _ => return Err(E::custom("no such reason")),
                };
                Ok(Reason(reason.into()))
            }
        }
        deserializer.deserialize_any(NumberOrName)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<DevicePostureData, serde_json::Error> {
        serde_json::from_str::<PostureReport>(json).map(Into::into)
    }

    fn with(field: &str) -> String {
        format!(r#"{{"defguard_client_version":"2.1.0","os_type":"linux",{field}}}"#)
    }

    #[test]
    fn each_finding_goes_to_its_own_field() {
        let json = with(
            r#""os_name":{"result":{"Value":"Ubuntu"}},"os_version":{"result":{"Value":"24.04"}},
            "disk_encryption":{"result":{"Value":true}},"antivirus_present":{"result":{"Value":false}},
            "windows_ad_domain_joined":{"result":{"Unavailable":2}},
            "windows_security_update_current":{"result":{"Unavailable":"NotApplicable"}},
            "linux_kernel_version":{"result":{"Value":"6.1"}},"device_integrity":null,"new_check":{"result":1}"#,
        );
        let text = |value: &str| Some(StringCheck { result: Some(string_check::Result::Value(value.to_owned())) });
        let found = |result| Some(BoolCheck { result: Some(result) });
        let expected = DevicePostureData {
            defguard_client_version: "2.1.0".to_owned(),
            os_type: "linux".to_owned(),
            os_name: text("Ubuntu"),
            os_version: text("24.04"),
            disk_encryption: found(bool_check::Result::Value(true)),
            antivirus_present: found(bool_check::Result::Value(false)),
            windows_ad_domain_joined: found(bool_check::Result::Unavailable(2)),
            windows_security_update_current: found(bool_check::Result::Unavailable(2)),
            linux_kernel_version: text("6.1"),
            device_integrity: None,
        };
        assert_eq!(read(&json).unwrap(), expected);
    }

    #[test]
    fn a_check_without_a_result_is_one_too() {
        for empty in ["{}", r#"{"result":null}"#] {
            let report = read(&with(&format!(r#""os_name":{empty}"#))).unwrap();
            assert_eq!(report.os_name, Some(StringCheck { result: None }));
        }
    }

    #[test]
    fn what_is_no_finding_is_refused() {
        for wrong in [
            "1",
            r#""Ubuntu""#,
            r#"{"result":"Ubuntu"}"#,
            r#"{"result":{"value":"Ubuntu"}}"#,
            r#"{"result":{"Value":true}}"#,
            r#"{"result":{"Value":"a","Unavailable":1}}"#,
            r#"{"result":{"Unavailable":"Sometimes"}}"#,
            r#"{"result":{"Unavailable":2147483648}}"#,
            r#"{"result":{"Value":"a"},"result":{"Value":"b"}}"#,
        ] {
            assert!(read(&with(&format!(r#""os_name":{wrong}"#))).is_err(), "{wrong}");
        }
    }
}
