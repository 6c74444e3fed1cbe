//! Public JSON of a device's configuration, for enrollment and polling.

use postern_proto::client_types as wire;

use super::json::object;

object!(wire::InstanceInfoResponse { device_config });
object!(wire::DeviceConfigResponse { device, configs, instance, token });
object!(wire::Device { id, name, pubkey, user_id, created_at });
object!(wire::DeviceConfig {
    network_id,
    network_name,
    config,
    endpoint,
    assigned_ip,
    pubkey,
    allowed_ips,
    dns,
    mfa_enabled,
    keepalive_interval,
    location_mfa_mode,
    service_location_mode,
    posture_check_required,
});
object!(wire::InstanceInfo {
    id,
    name,
    url,
    proxy_url,
    username,
    enterprise_enabled,
    disable_all_traffic,
    openid_display_name,
    client_traffic_policy,
});
