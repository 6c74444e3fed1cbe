//! What a device told about itself, for people.

use super::printable;
use crate::{
    control::PostureRow,
    posture::{Finding, Reason, Report},
};

pub(super) fn text(row: &PostureRow) -> String {
    let PostureRow { device, reported_at, report } = row;
    let (Some(at), Some(report)) = (reported_at, report) else {
        return format!("Device {device} has not reported yet. It does where the setting posture is `report`.\n");
    };
    let lines = lines(report).map(|(what, told)| format!("  {what:<24}{}\n", printable(&told)));
    format!("Device {device} reported at {at}:\n\n{}", lines.concat())
}

fn lines(report: &Report) -> [(&'static str, String); 10] {
    let yes_or_no = |finding: &Option<Finding<bool>>| told(finding.as_ref(), |value| if *value { "yes" } else { "no" });
    let words = |finding: &Option<Finding<String>>| told(finding.as_ref(), String::as_str);
    [
        ("Client", report.client_version.clone()),
        ("System", report.os_type.clone()),
        ("Name of the system", words(&report.os_name)),
        ("Version of the system", words(&report.os_version)),
        ("Linux kernel", words(&report.linux_kernel_version)),
        ("Disk encrypted", yes_or_no(&report.disk_encryption)),
        ("Antivirus present", yes_or_no(&report.antivirus_present)),
        ("In an AD domain", yes_or_no(&report.windows_ad_domain_joined)),
        ("Windows up to date", yes_or_no(&report.windows_security_update_current)),
        ("Integrity of the device", yes_or_no(&report.device_integrity)),
    ]
}

fn told<T>(finding: Option<&Finding<T>>, show: impl Fn(&T) -> &str) -> String {
    let text = match finding {
        Some(Finding::Value(value)) => show(value),
        Some(Finding::Unavailable(Reason::InsufficientPermissions)) => "not allowed to find out",
        Some(Finding::Unavailable(Reason::NotApplicable)) => "does not apply",
        Some(Finding::Unavailable(Reason::DetectionFailed)) => "could not find out",
        Some(Finding::Unavailable(Reason::NotSaid)) | None => "-",
    };
    text.to_owned()
}
