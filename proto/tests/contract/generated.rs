//! The crate's own types by the full name of their message.

use postern_proto::{client_types, common, link, posture, proxy};
use prost::Message;

use crate::descriptors::{messages, pool};

/// What the crate makes of some bytes.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) encoded: Vec<u8>,
    pub(crate) debug: String,
    pub(crate) debug_pretty: String,
}

fn see<M: Message + Default + std::fmt::Debug>(bytes: &[u8]) -> Result<Seen, prost::DecodeError> {
    let message = M::decode(bytes)?;
    Ok(Seen { encoded: message.encode_to_vec(), debug: format!("{message:?}"), debug_pretty: format!("{message:#?}") })
}

macro_rules! types {
    ($($package:literal => $module:ident: $($message:ident),+;)+) => {
        const NAMES: &[&str] = &[$($(concat!($package, ".", stringify!($message))),+),+];

        /// Decodes as the crate's type of that name.
        pub(crate) fn decode(name: &str, bytes: &[u8]) -> Result<Seen, prost::DecodeError> {
            match name {
                $($(concat!($package, ".", stringify!($message)) => see::<$module::$message>(bytes),)+)+
                other => panic!("{other} is not in the table"),
            }
        }
    };
}

types! {
    "defguard.client_types" => client_types: ActivateUserRequest, AdminInfo, AuthInfoRequest, ClientMfaFinishRequest, ClientMfaFinishResponse, ClientMfaStartRequest, ClientMfaStartResponse, ClientPlatformInfo, CodeMfaSetupFinishRequest, CodeMfaSetupFinishResponse, CodeMfaSetupStartRequest, CodeMfaSetupStartResponse, Device, DeviceConfig, DeviceConfigResponse, EnrollmentSettings, EnrollmentStartRequest, EnrollmentStartResponse, ExistingDevice, InitialUserInfo, InstanceInfo, InstanceInfoRequest, InstanceInfoResponse, NewDevice, RegisterMobileAuthRequest;
    "defguard.enterprise.posture.v2" => posture: BoolCheck, DevicePostureCheckRequest, DevicePostureCheckResponse, DevicePostureData, DevicePostureRejection, StringCheck;
    "defguard.proxy.v2" => proxy: AcmeCertificate, AcmeChallenge, AcmeIssueEvent, AcmeLogs, AcmeProgress, AuthCallbackRequest, AuthCallbackResponse, AuthInfoResponse, AwaitRemoteMfaFinishRequest, AwaitRemoteMfaFinishResponse, ClientMfaOidcAuthenticateRequest, ClientMfaTokenValidationRequest, ClientMfaTokenValidationResponse, CoreError, CoreRequest, CoreResponse, DeviceInfo, HttpsCerts, InitialInfo, PasswordResetInitializeRequest, PasswordResetRequest, PasswordResetStartRequest, PasswordResetStartResponse;
    "postern.link.v1" => link: Cancel, Draining, Probe, ProbeReply, RequestContext, SessionKey, SessionKeyRing;
    "defguard.common.v2" => common: CertBundle, CertificateInfo, DerPayload, LogEntry;
}

#[test]
fn every_message_of_the_contract_has_a_type() {
    let pool = pool();
    let mut contract: Vec<_> = messages(&pool).iter().map(|m| m.full_name().to_owned()).collect();
    contract.sort();
    let mut listed: Vec<_> = NAMES.iter().map(|name| (*name).to_owned()).collect();
    listed.sort();

    assert_eq!(contract, listed);
}
