//! What newer clients tell of the machine they run on.

use serde_json::{Value, json};

/// The wire's shape: each check holds a value, or why there is none.
pub fn of_a_laptop() -> Value {
    json!({
        "defguard_client_version": "2.1.0",
        "os_type": "Linux",
        "os_name": { "result": { "Value": "Debian GNU/Linux" } },
        "os_version": { "result": { "Value": "12" } },
        "disk_encryption": { "result": { "Value": true } },
        "antivirus_present": { "result": { "Unavailable": 2 } },
        "windows_ad_domain_joined": { "result": { "Unavailable": 2 } },
        "windows_security_update_current": { "result": { "Unavailable": 2 } },
        "linux_kernel_version": { "result": { "Value": "6.1.0-9-amd64" } },
        "device_integrity": { "result": { "Unavailable": 3 } },
    })
}
