//! Domain values as clients read them.

use postern_proto::client_types as client;

use crate::{
    device::{Device, DeviceSetup, Handover, Place},
    enrollment::Session,
    instance::Instance,
    location::{MfaMode, wg_quick},
};

/// Shown at the end of enrollment; Markdown.
const FINAL_PAGE: &str = "You are enrolled. Connect from the app whenever you need the network.";

pub(super) fn session(instance: &Instance, session: Session) -> client::EnrollmentStartResponse {
    let Session { person, device_names, ends_at } = session;
    let settings = client::EnrollmentSettings {
        vpn_setup_optional: instance.vpn_setup_optional,
        only_client_activation: false,
        admin_device_management: false,
        smtp_configured: false,
        mfa_required: false,
    };
    client::EnrollmentStartResponse {
        admin: instance.admin.as_ref().map(|admin| client::AdminInfo {
            name: admin.name.clone(),
            phone_number: admin.phone.clone(),
            email: admin.email.clone(),
        }),
        instance: Some(instance_info(instance, &person.login)),
        user: Some(client::InitialUserInfo {
            first_name: person.first_name,
            last_name: person.last_name,
            login: person.login,
            email: person.email,
            phone_number: person.phone,
            is_active: !person.is_disabled,
            device_names,
            enrolled: person.is_enrolled,
            is_admin: person.is_admin,
        }),
        deadline_timestamp: ends_at.as_unix(),
        final_page_content: FINAL_PAGE.to_owned(),
        settings: Some(settings),
    }
}

pub(super) fn handover(instance: &Instance, handover: Handover) -> client::DeviceConfigResponse {
    let Handover { setup, polling_token } = handover;
    device_config(instance, setup, Some(polling_token.expose().to_owned()))
}

pub(super) fn device_config(
    instance: &Instance,
    setup: DeviceSetup,
    polling_token: Option<String>,
) -> client::DeviceConfigResponse {
    let DeviceSetup { device, login, owner_is_disabled: _, places } = setup;
    client::DeviceConfigResponse {
        device: Some(wire_device(device)),
        configs: places.into_iter().map(config).collect(),
        instance: Some(instance_info(instance, &login)),
        token: polling_token,
    }
}

fn wire_device(device: Device) -> client::Device {
    let Device { id, name, public_key, person_id, created_at } = device;
    client::Device {
        id: id.as_i64(),
        name,
        pubkey: public_key,
        user_id: person_id.as_i64(),
        created_at: created_at.as_unix(),
    }
}

fn config(place: Place) -> client::DeviceConfig {
    let Place { location, addresses } = place;
    let mode = match location.mfa_mode {
        MfaMode::Disabled => client::LocationMfaMode::Disabled,
        MfaMode::Internal => client::LocationMfaMode::Internal,
        MfaMode::External => client::LocationMfaMode::External,
    };
    client::DeviceConfig {
        config: wg_quick(&location, &addresses),
        network_id: location.id.as_i64(),
        network_name: location.name,
        endpoint: location.endpoint,
        assigned_ip: addresses,
        pubkey: location.public_key,
        allowed_ips: location.allowed_ips,
        dns: location.dns,
        mfa_enabled: location.mfa_mode != MfaMode::Disabled,
        keepalive_interval: i32::from(location.keepalive_seconds),
        location_mfa_mode: Some(mode.into()),
        service_location_mode: Some(client::ServiceLocationMode::Disabled.into()),
        posture_check_required: None,
    }
}

fn instance_info(instance: &Instance, login: &str) -> client::InstanceInfo {
    client::InstanceInfo {
        id: instance.id.to_string(),
        name: instance.name.clone(),
        url: instance.public_url.clone(),
        proxy_url: instance.public_url.clone(),
        username: login.to_owned(),
        // Clients switch off what they know as enterprise features, such as the traffic policy, without it.
        enterprise_enabled: true,
        disable_all_traffic: false,
        openid_display_name: None,
        client_traffic_policy: Some(client::ClientTrafficPolicy::None.into()),
    }
}
