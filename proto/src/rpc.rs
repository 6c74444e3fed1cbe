//! Kinds of request: each pairs a request type with its one reply type and its deadline.
//!
//! A handler that asks with an [`Rpc`] gets that reply or an error; there is no "some other reply"
//! for it to think about.

use std::time::Duration;

use crate::{
    client_types as client, limits, posture,
    proxy::{self, core_request, core_response},
};

/// A reply came whose payload does not belong to its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the reply to {kind} has another kind of payload")]
pub struct WrongReply {
    /// [`Rpc::KIND`] of the request.
    pub kind: &'static str,
}

/// What a second request with the same content does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// Nothing that the first has not done.
    Harmless,
    /// It may take effect once more.
    Once,
}

/// When a kind of request is refused under overload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shed {
    /// Early: a device asks by itself, and again in a moment. Nobody sees it.
    First,
    /// Late: a person waits for it.
    Last,
}

/// One kind of request, with the reply it gets.
pub trait Rpc: Sized {
    /// What a success carries.
    type Reply;
    /// Name in logs and metrics.
    const KIND: &'static str;
    /// How long anybody waits for the reply.
    const DEADLINE: Duration;
    /// What a repeat does at a Core without a replay memory.
    const REPEAT: Repeat;
    /// Who is refused first when Core cannot keep up.
    const SHED: Shed;

    /// Wraps the request for the wire.
    fn into_payload(self) -> core_request::Payload;

    /// Unwraps the reply.
    ///
    /// # Errors
    /// [`WrongReply`] when the payload is not the one that belongs to this request. A
    /// `CoreError` is the caller's to handle first.
    fn from_reply(payload: core_response::Payload) -> Result<Self::Reply, WrongReply>;
}

macro_rules! rpc {
    ($request:ty => $variant:ident, $kind:literal, $reply:ty => $reply_variant:ident, $deadline:expr, $repeat:ident) => {
        impl Rpc for $request {
            type Reply = $reply;
            const KIND: &'static str = $kind;
            const DEADLINE: Duration = $deadline;
            const REPEAT: Repeat = rpc!(@repeat $repeat);
            const SHED: Shed = rpc!(@shed $repeat);

            fn into_payload(self) -> core_request::Payload {
                core_request::Payload::$variant(self)
            }

            fn from_reply(payload: core_response::Payload) -> Result<Self::Reply, WrongReply> {
                if let core_response::Payload::$reply_variant(reply) = payload {
                    Ok(reply)
                } else {
                    Err(WrongReply { kind: Self::KIND })
                }
            }
        }
    };
    (@repeat once) => {
        Repeat::Once
    };
    // `harmless` or `poll`.
    (@repeat $harmless:ident) => {
        Repeat::Harmless
    };
    (@shed poll) => {
        Shed::First
    };
    (@shed $other:ident) => {
        Shed::Last
    };
}

const SOON: Duration = limits::REQUEST_BUDGET;
const PERSON: Duration = limits::APPROVAL_BUDGET;

// What is `harmless` or a `poll`, and why: a start opens a session once, and after that only says until when it is open;
// `auth_info`, `instance_info` and `client_mfa_token_validation` only read; the result of an approval stays where it is.
rpc!(client::EnrollmentStartRequest => EnrollmentStart, "enrollment_start", client::EnrollmentStartResponse => EnrollmentStart, SOON, harmless);
rpc!(client::ActivateUserRequest => ActivateUser, "activate_user", () => Empty, SOON, once);
rpc!(client::NewDevice => NewDevice, "new_device", client::DeviceConfigResponse => DeviceConfig, SOON, once);
rpc!(client::ExistingDevice => ExistingDevice, "existing_device", client::DeviceConfigResponse => DeviceConfig, SOON, once);
rpc!(proxy::PasswordResetInitializeRequest => PasswordResetInit, "password_reset_init", () => Empty, SOON, once);
rpc!(proxy::PasswordResetStartRequest => PasswordResetStart, "password_reset_start", proxy::PasswordResetStartResponse => PasswordResetStart, SOON, harmless);
rpc!(proxy::PasswordResetRequest => PasswordReset, "password_reset", () => Empty, SOON, once);
rpc!(client::ClientMfaStartRequest => ClientMfaStart, "client_mfa_start", client::ClientMfaStartResponse => ClientMfaStart, SOON, once);
rpc!(client::ClientMfaFinishRequest => ClientMfaFinish, "client_mfa_finish", client::ClientMfaFinishResponse => ClientMfaFinish, SOON, once);
rpc!(client::InstanceInfoRequest => InstanceInfo, "instance_info", client::InstanceInfoResponse => InstanceInfo, SOON, poll);
rpc!(client::AuthInfoRequest => AuthInfo, "auth_info", proxy::AuthInfoResponse => AuthInfo, SOON, harmless);
rpc!(proxy::AuthCallbackRequest => AuthCallback, "auth_callback", proxy::AuthCallbackResponse => AuthCallback, SOON, once);
rpc!(proxy::ClientMfaOidcAuthenticateRequest => ClientMfaOidcAuthenticate, "client_mfa_oidc_authenticate", () => Empty, SOON, once);
rpc!(client::RegisterMobileAuthRequest => RegisterMobileAuth, "register_mobile_auth", () => Empty, SOON, once);
rpc!(proxy::ClientMfaTokenValidationRequest => ClientMfaTokenValidation, "client_mfa_token_validation", proxy::ClientMfaTokenValidationResponse => ClientMfaTokenValidation, SOON, harmless);
rpc!(client::CodeMfaSetupStartRequest => CodeMfaSetupStart, "code_mfa_setup_start", client::CodeMfaSetupStartResponse => CodeMfaSetupStartResponse, SOON, once);
rpc!(client::CodeMfaSetupFinishRequest => CodeMfaSetupFinish, "code_mfa_setup_finish", client::CodeMfaSetupFinishResponse => CodeMfaSetupFinishResponse, SOON, once);
rpc!(proxy::AwaitRemoteMfaFinishRequest => AwaitRemoteMfaFinish, "await_remote_mfa_finish", proxy::AwaitRemoteMfaFinishResponse => AwaitRemoteMfaFinish, PERSON, harmless);

/// A device that fails its checks gets an answer of its own, which is no refusal of the request.
impl Rpc for posture::DevicePostureCheckRequest {
    type Reply = Result<posture::DevicePostureCheckResponse, posture::DevicePostureRejection>;
    const KIND: &'static str = "device_posture_check";
    const DEADLINE: Duration = SOON;
    const REPEAT: Repeat = Repeat::Once;
    const SHED: Shed = Shed::Last;

    fn into_payload(self) -> core_request::Payload {
        core_request::Payload::DevicePostureCheck(self)
    }

    fn from_reply(payload: core_response::Payload) -> Result<Self::Reply, WrongReply> {
        if let core_response::Payload::DevicePostureCheck(reply) = payload {
            return Ok(Ok(reply));
        }
        if let core_response::Payload::DevicePostureRejected(rejection) = payload {
            return Ok(Err(rejection));
        }
        Err(WrongReply { kind: Self::KIND })
    }
}

impl core_request::Payload {
    /// Name of the kind of request, for logs, metrics and the replay memory. Holds no secret.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::EnrollmentStart(_) => client::EnrollmentStartRequest::KIND,
            Self::ActivateUser(_) => client::ActivateUserRequest::KIND,
            Self::NewDevice(_) => client::NewDevice::KIND,
            Self::ExistingDevice(_) => client::ExistingDevice::KIND,
            Self::PasswordResetInit(_) => proxy::PasswordResetInitializeRequest::KIND,
            Self::PasswordResetStart(_) => proxy::PasswordResetStartRequest::KIND,
            Self::PasswordReset(_) => proxy::PasswordResetRequest::KIND,
            Self::ClientMfaStart(_) => client::ClientMfaStartRequest::KIND,
            Self::ClientMfaFinish(_) => client::ClientMfaFinishRequest::KIND,
            Self::InstanceInfo(_) => client::InstanceInfoRequest::KIND,
            Self::AuthInfo(_) => client::AuthInfoRequest::KIND,
            Self::AuthCallback(_) => proxy::AuthCallbackRequest::KIND,
            Self::ClientMfaOidcAuthenticate(_) => proxy::ClientMfaOidcAuthenticateRequest::KIND,
            Self::RegisterMobileAuth(_) => client::RegisterMobileAuthRequest::KIND,
            Self::ClientMfaTokenValidation(_) => proxy::ClientMfaTokenValidationRequest::KIND,
            Self::CodeMfaSetupStart(_) => client::CodeMfaSetupStartRequest::KIND,
            Self::CodeMfaSetupFinish(_) => client::CodeMfaSetupFinishRequest::KIND,
            Self::AwaitRemoteMfaFinish(_) => proxy::AwaitRemoteMfaFinishRequest::KIND,
            Self::DevicePostureCheck(_) => posture::DevicePostureCheckRequest::KIND,
            Self::AcmeCertificate(_) => "acme_certificate",
            Self::Probe(_) => "probe",
            Self::ProbeReply(_) => "probe_reply",
            Self::Draining(_) => "draining",
            Self::Cancel(_) => "cancel",
        }
    }

    /// Nothing changes by it, so it is worth nothing to anybody but who waits for the reply.
    #[must_use]
    pub fn only_reads(&self) -> bool {
        matches!(self, Self::InstanceInfo(_) | Self::AuthInfo(_) | Self::ClientMfaTokenValidation(_))
    }
}
