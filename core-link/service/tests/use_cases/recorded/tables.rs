//! What is played, what may differ, and why.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{difference::Difference, player::RECORDED_AT};

/// In the order in which it happened.
pub(super) const PLAYED: &[&str] = &[
    "enrollment_start_unknown",
    "enrollment_start",
    "enrollment_start_again",
    "code_mfa_setup_start_no_smtp",
    "code_mfa_setup_start_totp",
    "code_mfa_setup_finish_wrong",
    "code_mfa_setup_finish",
    "new_device_bad_key",
    "new_device",
    "new_device_duplicate_key",
    "new_device_no_token",
    "existing_device",
    "existing_device_unknown",
    "register_mobile",
    "register_mobile_unknown_device",
    "activate_user_weak",
    "activate_user",
    "activate_user_twice",
    "instance_info",
    "instance_info_bad",
    "client_mfa_start_unknown_location",
    "client_mfa_start_email",
    "client_mfa_start_oidc",
    "client_mfa_start_biometric",
    "client_mfa_start",
    "client_mfa_token_validation",
    "client_mfa_token_validation_bad",
    "client_mfa_finish_wrong",
    "client_mfa_finish",
    "client_mfa_finish_again",
    "client_mfa_start_mobile",
    "auth_info_enrollment",
    "auth_info_mfa",
    "auth_callback",
    "oidc_authenticate",
    "enrollment_start_without_device_info",
    "enrollment_start_bad_ip",
    "biometric_start",
    "biometric_finish_wrong",
    "biometric_start2",
    "biometric_finish",
    "mobile_approve_start",
    "mobile_approve_validation",
    "mobile_approve_finish",
    "await_remote",
    "password_reset_init_unknown",
    "password_reset_init",
    "password_reset_start_unknown",
    "password_reset_no_session",
    "password_reset_start",
    "password_reset_weak",
    "password_reset",
    "password_reset_again",
];

/// What a value is like that is ours to choose.
#[derive(Debug)]
pub(super) enum Shape {
    /// A recorded one for MFA is a JWT; ours are all 32 letters and digits. Clients take them as they are.
    Token,
    /// 32 bytes in base64.
    Key,
    /// 20 bytes in base32.
    Seed,
    /// 16 letters and digits.
    RecoveryCode,
    Uuid,
    Address,
    Url,
    Name,
    /// A time near that of the recording.
    Deadline,
    WgQuick,
    /// What a phone signs. A recorded one is random text; ours says what for.
    Challenge,
}

impl Shape {
    pub(super) fn fits(&self, recorded: &str, ours: &str) -> bool {
        let is_jwt = matches!(self, Self::Token) && recorded.split('.').count() == 3;
        (is_jwt || self.is(recorded)) && self.is(ours)
    }

    fn is(&self, text: &str) -> bool {
        match self {
            Self::Token => text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_alphanumeric()),
            Self::Key => STANDARD.decode(text).is_ok_and(|key| key.len() == 32),
            Self::Seed => text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'2'..=b'7')),
            Self::RecoveryCode => text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_alphanumeric()),
            Self::Uuid => text.parse::<uuid::Uuid>().is_ok(),
            Self::Challenge => {
                let is_recorded = text.len() == 44 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
                is_recorded || text.starts_with("postern-")
            }
            Self::Address => text.parse::<std::net::IpAddr>().is_ok(),
            Self::Deadline => text.parse::<i64>().is_ok_and(|at| (at - RECORDED_AT).abs() < 3600),
            Self::Url => text.starts_with("http://localhost:") && text.ends_with('/'),
            Self::Name => text.starts_with("Office"),
            Self::WgQuick => text.starts_with("[Interface]\nPrivateKey = YOUR_PRIVATE_KEY\nAddress = 10.1"),
        }
    }
}

/// Fields whose values nobody compares, only what they look like.
pub(super) const CHOSEN: &[(&str, Shape)] = &[
    ("device_config.token", Shape::Token),
    ("client_mfa_start.token", Shape::Token),
    ("client_mfa_start.challenge", Shape::Challenge),
    ("client_mfa_finish.preshared_key", Shape::Key),
    ("client_mfa_finish.token", Shape::Token),
    ("await_remote_mfa_finish.preshared_key", Shape::Key),
    ("code_mfa_setup_start_response.totp_secret", Shape::Seed),
    ("code_mfa_setup_finish_response.recovery_codes", Shape::RecoveryCode),
    ("password_reset_start.deadline_timestamp", Shape::Deadline),
    ("enrollment_start.instance.id", Shape::Uuid),
    ("device_config.instance.id", Shape::Uuid),
    // The address of Core's own site, which ours does not have: both are the public address.
    ("enrollment_start.instance.url", Shape::Url),
    ("device_config.instance.url", Shape::Url),
    // The recorded Core has two locations of one name and one range; ours refuses that.
    ("device_config.configs.network_name", Shape::Name),
    ("device_config.configs.assigned_ip", Shape::Address),
    ("device_config.configs.config", Shape::WgQuick),
];

/// A difference that is meant.
pub(super) struct Deliberate {
    pub(super) calls: &'static [&'static str],
    pub(super) path: &'static str,
    pub(super) recorded: &'static str,
    pub(super) ours: &'static str,
    pub(super) why: &'static str,
}

impl Deliberate {
    pub(super) fn is(&self, call: &str, seen: &Difference) -> bool {
        seen.call == call && (self.path, self.recorded, self.ours) == (&*seen.path, &*seen.recorded, &*seen.ours)
    }
}

pub(super) const DELIBERATE: &[Deliberate] = &[
    Deliberate {
        calls: &["auth_info_enrollment", "auth_info_mfa"],
        path: "core_error.status_code",
        recorded: "9",
        ours: "5",
        why: "what a licensed stock Core without a provider answers",
    },
    Deliberate {
        calls: &["auth_info_enrollment", "auth_info_mfa"],
        path: "core_error.message",
        recorded: "no valid license",
        ours: "failed to get current OpenID provider",
        why: "what a licensed stock Core without a provider answers",
    },
    Deliberate {
        calls: &["auth_callback"],
        path: "core_error.status_code",
        recorded: "13",
        ours: "5",
        why: "that there is no provider is no mishap of ours",
    },
    Deliberate {
        calls: &["auth_callback"],
        path: "core_error.message",
        recorded: "OpenID auth error Object not found: OpenID provider not set",
        ours: "failed to get current OpenID provider",
        why: "one text for one thing",
    },
    Deliberate {
        calls: &["enrollment_start", "enrollment_start_again"],
        path: "enrollment_start.settings.smtp_configured",
        recorded: "false",
        ours: "true",
        why: "ours has a mail server from the start, to mail the links of the resets below",
    },
    Deliberate {
        calls: &["enrollment_start", "enrollment_start_again"],
        path: "enrollment_start.settings.mfa_required",
        recorded: "true",
        ours: "false",
        why: "a setting of the administrator, and never derived from locations",
    },
    Deliberate {
        calls: &["enrollment_start", "enrollment_start_again"],
        path: "enrollment_start.instance.enterprise_enabled",
        recorded: "false",
        ours: "true",
        why: "clients switch off what they know as enterprise features without it, and ours has no licences",
    },
    Deliberate {
        calls: &["new_device", "existing_device"],
        path: "device_config.instance.enterprise_enabled",
        recorded: "false",
        ours: "true",
        why: "clients switch off what they know as enterprise features without it, and ours has no licences",
    },
    Deliberate {
        calls: &["code_mfa_setup_start_no_smtp"],
        path: "core_error.status_code",
        recorded: "13",
        ours: "3",
        why: "codes by e-mail are off unless an administrator allows them, and that is no mishap of ours",
    },
    Deliberate {
        calls: &["code_mfa_setup_start_no_smtp"],
        path: "core_error.message",
        recorded: "SMTP not configured",
        ours: "Method not supported",
        why: "a stock Core's own text for a method that it does not know",
    },
    Deliberate {
        calls: &["activate_user_twice"],
        path: "payload",
        recorded: "3 user already activated",
        ours: "empty",
        why: "the same session and password again is a lost answer, and must not strand a person",
    },
    Deliberate {
        calls: &["instance_info"],
        path: "payload",
        recorded: "9 no valid license",
        ours: "instance_info",
        why: "polling needs no licence",
    },
    Deliberate {
        calls: &["instance_info_bad"],
        path: "core_error.status_code",
        recorded: "9",
        ours: "7",
        why: "what a licensed stock Core answers",
    },
    Deliberate {
        calls: &["instance_info_bad"],
        path: "core_error.message",
        recorded: "no valid license",
        ours: "invalid token",
        why: "what a licensed stock Core answers",
    },
    Deliberate {
        calls: &["client_mfa_finish"],
        path: "payload",
        recorded: "client_mfa_finish",
        ours: "16 unauthorized",
        why: "the code of the set-up is spent",
    },
];
