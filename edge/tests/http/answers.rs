//! What the Core of these tests replies: every field set, with the JSON that has to come of it.

use postern_edge::testing::Answer;
use postern_proto::{
    client_types::{
        AdminInfo, ClientMfaFinishResponse, ClientMfaStartResponse, CodeMfaSetupFinishResponse,
        CodeMfaSetupStartResponse, Device, DeviceConfig, DeviceConfigResponse, EnrollmentSettings,
        EnrollmentStartResponse, InitialUserInfo, InstanceInfo, InstanceInfoResponse,
    },
    posture::DevicePostureCheckResponse,
    proxy::{
        AuthCallbackResponse, AuthInfoResponse, ClientMfaTokenValidationResponse, CoreRequest,
        PasswordResetStartResponse, core_request, core_response::Payload,
    },
};
use serde_json::{Value, json};

/// 2100: longer than any test.
pub(crate) const DEADLINE: i64 = 4_102_444_800;
pub(crate) const TOTP_SECRET: &str = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";
pub(crate) const PRESHARED_KEY: &str = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";

/// One right reply for each kind of request that is served.
pub(crate) fn right(request: &CoreRequest) -> Answer {
    match request.payload.as_ref().unwrap() {
        core_request::Payload::EnrollmentStart(_) => Answer::Reply(Payload::EnrollmentStart(start())),
        core_request::Payload::NewDevice(_) => Answer::Reply(Payload::DeviceConfig(device_config(Some("polling")))),
        core_request::Payload::ActivateUser(_) => Answer::Reply(Payload::Empty(())),
        core_request::Payload::ExistingDevice(_) => Answer::Reply(Payload::DeviceConfig(device_config(Some("fresh")))),
        core_request::Payload::InstanceInfo(_) => {
            Answer::Reply(Payload::InstanceInfo(InstanceInfoResponse { device_config: Some(device_config(None)) }))
        }
        core_request::Payload::CodeMfaSetupStart(_) => {
            Answer::Reply(Payload::CodeMfaSetupStartResponse(CodeMfaSetupStartResponse {
                totp_secret: Some(TOTP_SECRET.into()),
            }))
        }
        core_request::Payload::CodeMfaSetupFinish(_) => {
            Answer::Reply(Payload::CodeMfaSetupFinishResponse(CodeMfaSetupFinishResponse {
                recovery_codes: vec!["code-1".into(), "code-2".into()],
            }))
        }
        core_request::Payload::ClientMfaStart(_) => Answer::Reply(Payload::ClientMfaStart(ClientMfaStartResponse {
            token: "mfa-session".into(),
            challenge: None,
        })),
        core_request::Payload::ClientMfaFinish(_) => Answer::Reply(Payload::ClientMfaFinish(ClientMfaFinishResponse {
            preshared_key: PRESHARED_KEY.into(),
            token: None,
        })),
        core_request::Payload::RegisterMobileAuth(_)
        | core_request::Payload::PasswordResetInit(_)
        | core_request::Payload::PasswordReset(_)
        | core_request::Payload::ClientMfaOidcAuthenticate(_) => Answer::Reply(Payload::Empty(())),
        core_request::Payload::PasswordResetStart(_) => {
            Answer::Reply(Payload::PasswordResetStart(PasswordResetStartResponse { deadline_timestamp: DEADLINE }))
        }
        core_request::Payload::AuthInfo(_) => Answer::Reply(Payload::AuthInfo(auth_info())),
        core_request::Payload::AuthCallback(_) => Answer::Reply(Payload::AuthCallback(AuthCallbackResponse {
            url: "https://edge.ex.org/".into(),
            token: "enroll-me".into(),
        })),
        core_request::Payload::DevicePostureCheck(_) => {
            Answer::Reply(Payload::DevicePostureCheck(DevicePostureCheckResponse {
                preshared_key: PRESHARED_KEY.into(),
            }))
        }
        core_request::Payload::ClientMfaTokenValidation(_) => {
            Answer::Reply(Payload::ClientMfaTokenValidation(ClientMfaTokenValidationResponse { token_valid: true }))
        }
        core_request::Payload::AwaitRemoteMfaFinish(_) => Answer::Nothing,
        other => panic!("nobody asked for {}", other.kind()),
    }
}

pub(crate) fn auth_info() -> AuthInfoResponse {
    AuthInfoResponse {
        url: "https://id.ex.org/authorize?client_id=1".into(),
        csrf_token: "csrf".into(),
        nonce: "nonce".into(),
        button_display_name: Some("Acme ID".into()),
    }
}

pub(crate) fn start() -> EnrollmentStartResponse {
    EnrollmentStartResponse {
        admin: Some(AdminInfo { name: "Ann Admin".into(), phone_number: None, email: "ann@ex.org".into() }),
        user: Some(InitialUserInfo {
            first_name: "Joe".into(),
            last_name: "Doe".into(),
            login: "jdoe".into(),
            email: "joe@ex.org".into(),
            phone_number: None,
            is_active: true,
            device_names: vec!["laptop".into()],
            enrolled: false,
            is_admin: false,
        }),
        deadline_timestamp: DEADLINE,
        final_page_content: "markdown \"text\"\n".into(),
        instance: Some(instance()),
        settings: Some(EnrollmentSettings {
            vpn_setup_optional: true,
            only_client_activation: false,
            admin_device_management: false,
            smtp_configured: true,
            mfa_required: false,
        }),
    }
}

pub(crate) fn start_json() -> Value {
    json!({
        "admin": {"name": "Ann Admin", "phone_number": null, "email": "ann@ex.org"},
        "user": {
            "first_name": "Joe", "last_name": "Doe", "login": "jdoe", "email": "joe@ex.org", "phone_number": null,
            "is_active": true, "device_names": ["laptop"], "enrolled": false, "is_admin": false
        },
        "deadline_timestamp": DEADLINE,
        "final_page_content": "markdown \"text\"\n",
        "instance": instance_json(),
        "settings": {
            "vpn_setup_optional": true, "only_client_activation": false, "admin_device_management": false,
            "smtp_configured": true, "mfa_required": false
        }
    })
}

pub(crate) fn device_config(token: Option<&str>) -> DeviceConfigResponse {
    DeviceConfigResponse {
        device: Some(Device {
            id: 7,
            name: "laptop".into(),
            pubkey: "k=".into(),
            user_id: 3,
            created_at: 1_767_225_000,
        }),
        configs: vec![DeviceConfig {
            network_id: 1,
            network_name: "Office".into(),
            config: "[Interface]\n".into(),
            endpoint: "vpn.ex.org:51820".into(),
            assigned_ip: "10.1.0.5,fd00::5".into(),
            pubkey: "l=".into(),
            allowed_ips: "10.0.0.0/8,fd00::/64".into(),
            dns: None,
            mfa_enabled: true,
            keepalive_interval: 25,
            location_mfa_mode: Some(2),
            service_location_mode: Some(1),
            posture_check_required: None,
        }],
        instance: Some(instance()),
        token: token.map(str::to_owned),
    }
}

pub(crate) fn device_config_json(token: Option<&str>) -> Value {
    json!({
        "device": {"id": 7, "name": "laptop", "pubkey": "k=", "user_id": 3, "created_at": 1_767_225_000},
        "configs": [{
            "network_id": 1, "network_name": "Office", "config": "[Interface]\n", "endpoint": "vpn.ex.org:51820",
            "assigned_ip": "10.1.0.5,fd00::5", "pubkey": "l=", "allowed_ips": "10.0.0.0/8,fd00::/64", "dns": null,
            "mfa_enabled": true, "keepalive_interval": 25, "location_mfa_mode": 2, "service_location_mode": 1,
            "posture_check_required": null
        }],
        "instance": instance_json(),
        "token": token
    })
}

fn instance() -> InstanceInfo {
    InstanceInfo {
        id: "5e0f6f0e-1111-4222-8333-444455556666".into(),
        name: "Acme VPN".into(),
        url: "https://core.ex.org/".into(),
        proxy_url: "https://edge.ex.org/".into(),
        username: "jdoe".into(),
        enterprise_enabled: true,
        disable_all_traffic: false,
        openid_display_name: None,
        client_traffic_policy: Some(0),
    }
}

fn instance_json() -> Value {
    json!({
        "id": "5e0f6f0e-1111-4222-8333-444455556666", "name": "Acme VPN", "url": "https://core.ex.org/",
        "proxy_url": "https://edge.ex.org/", "username": "jdoe", "enterprise_enabled": true,
        "disable_all_traffic": false, "openid_display_name": null, "client_traffic_policy": 0
    })
}
