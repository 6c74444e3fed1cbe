//! Public JSON of the enrollment routes. Bodies of requests hold secrets and have no `Debug`.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use postern_proto::client_types as wire;
use serde::Deserialize;

use super::super::{body::BodyError, json::object, mfa::method::Method};

/// Of an Ed25519 or X25519 key, in bytes.
const KEY_LENGTH: usize = 32;

#[derive(Deserialize)]
pub(in crate::http) struct StartBody {
    pub(super) token: String,
}

#[derive(Deserialize)]
pub(in crate::http) struct CreateDeviceBody {
    pub(super) name: String,
    pub(super) pubkey: String,
}

#[derive(Deserialize)]
pub(in crate::http) struct ActivateBody {
    pub(super) phone_number: Option<String>,
    pub(super) password: String,
}

#[derive(Deserialize)]
pub(in crate::http) struct NetworkInfoBody {
    pub(super) pubkey: String,
}

#[derive(Deserialize)]
pub(in crate::http) struct RegisterMobileBody {
    pub(super) auth_pub_key: PublicKey,
    pub(super) device_pub_key: PublicKey,
}

/// A public key as a client wrote it.
#[derive(Deserialize)]
pub(in crate::http) struct PublicKey(String);

impl PublicKey {
    /// The same text, if it is 32 bytes in standard base64.
    pub(super) fn checked(self) -> Result<String, BodyError> {
        let key = STANDARD.decode(&self.0).ok().filter(|key| key.len() == KEY_LENGTH);
        key.map(|_| self.0).ok_or(BodyError::InvalidKey)
    }
}

#[derive(Deserialize)]
pub(in crate::http) struct MfaStartBody {
    pub(super) method: Method,
}

#[derive(Deserialize)]
pub(in crate::http) struct MfaFinishBody {
    pub(super) code: String,
    pub(super) method: Method,
}

object!(wire::EnrollmentStartResponse { admin, user, deadline_timestamp, final_page_content, instance, settings });
object!(wire::AdminInfo { name, phone_number, email });
object!(wire::InitialUserInfo {
    first_name,
    last_name,
    login,
    email,
    phone_number,
    is_active,
    device_names,
    enrolled,
    is_admin,
});
object!(wire::EnrollmentSettings {
    vpn_setup_optional,
    only_client_activation,
    admin_device_management,
    smtp_configured,
    mfa_required,
});
object!(wire::CodeMfaSetupStartResponse { totp_secret });
object!(wire::CodeMfaSetupFinishResponse { recovery_codes });
