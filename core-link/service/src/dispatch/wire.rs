//! Domain values as clients read them.

use postern_proto::client_types as client;

use crate::{
    device::{Device, DeviceSetup, Handover, Host, Place},
    enrollment::{Holder, Session},
    instance::Instance,
    location::{MfaMode, wg_quick},
    person::{Person, PersonId},
    posture::Policy,
};

pub(super) fn session(instance: &Instance, session: Session) -> client::EnrollmentStartResponse {
    let Session { holder, device_names, ends_at } = session;
    let user = match holder {
        Holder::Person(person) => user(person, device_names),
        Holder::Host(host) => host_as_user(host, device_names),
    };
    let settings = client::EnrollmentSettings {
        vpn_setup_optional: instance.vpn_setup_optional,
        only_client_activation: false,
        admin_device_management: false,
        smtp_configured: instance.mail.is_on(),
        mfa_required: instance.mfa_required,
    };
    client::EnrollmentStartResponse {
        admin: instance.admin.as_ref().map(|admin| client::AdminInfo {
            name: admin.name.clone(),
            phone_number: admin.phone.clone(),
            email: admin.email.clone(),
        }),
        instance: Some(instance_info(instance, &user.login)),
        user: Some(user),
        deadline_timestamp: ends_at.as_unix(),
        final_page_content: instance.final_text.clone(),
        settings: Some(settings),
    }
}

fn user(person: Person, device_names: Vec<String>) -> client::InitialUserInfo {
    client::InitialUserInfo {
        first_name: person.first_name,
        last_name: person.last_name,
        login: person.login,
        email: person.email,
        phone_number: person.phone,
        is_active: !person.is_disabled,
        device_names,
        enrolled: person.is_enrolled,
        is_admin: person.is_admin,
    }
}

/// Nobody to activate: what is left for a host to do is what an enrolled person does.
fn host_as_user(host: Host, device_names: Vec<String>) -> client::InitialUserInfo {
    client::InitialUserInfo {
        login: host.name,
        is_active: true,
        device_names,
        enrolled: true,
        ..client::InitialUserInfo::default()
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
    let DeviceSetup { device, username, owner_is_disabled: _, places } = setup;
    // A host has nobody to ask. Clients read no answer as "no".
    let is_asked = instance.posture == Policy::Report && device.person_id.is_some();
    let posture_check = is_asked.then_some(true);
    client::DeviceConfigResponse {
        device: Some(wire_device(device)),
        configs: places.into_iter().map(|place| config(place, posture_check)).collect(),
        instance: Some(instance_info(instance, &username)),
        token: polling_token,
    }
}

fn wire_device(device: Device) -> client::Device {
    let Device { id, name, public_key, person_id, created_at } = device;
    client::Device {
        id: id.as_i64(),
        name,
        pubkey: public_key,
        // A host is nobody's.
        user_id: person_id.map_or(0, PersonId::as_i64),
        created_at: created_at.as_unix(),
    }
}

fn config(place: Place, posture_check_required: Option<bool>) -> client::DeviceConfig {
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
        posture_check_required,
    }
}

fn instance_info(instance: &Instance, username: &str) -> client::InstanceInfo {
    client::InstanceInfo {
        id: instance.id.to_string(),
        name: instance.name.clone(),
        url: instance.public_url.clone(),
        proxy_url: instance.public_url.clone(),
        username: username.to_owned(),
        // Clients switch off what they know as enterprise features, such as the traffic policy, without it.
        enterprise_enabled: true,
        disable_all_traffic: false,
        openid_display_name: instance.openid_display_name.clone(),
        client_traffic_policy: Some(client::ClientTrafficPolicy::None.into()),
    }
}
