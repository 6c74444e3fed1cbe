//! What devices tell about themselves.

use postern_core::{
    device::{DeviceId, FindDeviceError},
    posture::{self, Finding, Policy, Reason, StoredReport},
};
use postern_core_link::Reply;
use postern_proto::{
    client_types as client,
    posture::{
        BoolCheck, DevicePostureCheckRequest, DevicePostureData, StringCheck, UnavailableReason, bool_check,
        string_check,
    },
    proxy::{core_request::Payload, core_response},
};

use crate::{
    mfa::support::{OFFICE, begin_login, end_login, login_token, passed},
    support::{Core, assert_refused, configured, existing_device, key, poll, polled},
};

/// WireGuard's key of zeros, which means none.
const NO_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const OPEN: i64 = 2;

#[tokio::test]
async fn off_nobody_is_asked_and_nothing_is_kept() {
    let (core, joe) = with_member(Policy::Off).await;
    let devices = core.ask(poll(&joe.polling_token)).await;
    assert!(polled(devices).configs.iter().all(|config| config.posture_check_required.is_none()));
    assert_refused(core.ask(check(OPEN, &joe.key, linux("6.1"))).await, 3, "posture is not checked here");
    let token = login_token(core.ask(begin_login_with(&joe.key, linux("6.1"))).await);
    passed(core.ask(end_login(&token, &core.code(&joe.seed))).await);
    assert_eq!(newest(&core, joe.device).await, None);
}

#[tokio::test]
async fn asked_for_devices_of_people_are_told_to_report_and_hosts_are_not() {
    let (core, joe) = with_member(Policy::Report).await;
    let configs = polled(core.ask(poll(&joe.polling_token)).await).configs;
    assert_eq!(configs.iter().map(|config| config.posture_check_required).collect::<Vec<_>>(), [Some(true); 2]);
    core.add_host("web", "Servers", Some(key(50))).await.unwrap();
    let host = core.host_session("web-2").await;
    core.ask(crate::support::new_device(&host, "", &key(51))).await.unwrap();
    let configs = configured(core.ask(existing_device(&host, &key(51))).await).configs;
    assert!(configs.iter().all(|config| config.posture_check_required.is_none()));
}

#[tokio::test]
async fn a_report_is_kept_and_changes_nothing_for_the_tunnel() {
    let (core, joe) = with_member(Policy::Report).await;
    assert_eq!(reported(core.ask(check(OPEN, &joe.key, linux("6.1"))).await), NO_KEY);
    let stored = newest(&core, joe.device).await.unwrap();
    assert_eq!(stored.reported_at.as_unix(), core.unix());
    assert_eq!(stored.report.client_version, "2.1.0");
    assert_eq!(stored.report.os_name, Some(Finding::Value("Debian".to_owned())));
    assert_eq!(stored.report.disk_encryption, Some(Finding::Value(true)));
    assert_eq!(stored.report.antivirus_present, Some(Finding::Unavailable(Reason::NotApplicable)));
    assert_eq!(stored.report.device_integrity, None);
    assert_eq!(core.count("SELECT COUNT(*) FROM authorisations").await, 0);
    assert_eq!(core.activity().await.pop().unwrap(), "device_posture_changed done joe device 1");
}

#[tokio::test]
async fn the_same_report_again_is_not_written_and_a_change_is_told_every_ten_minutes() {
    let (core, joe) = with_member(Policy::Report).await;
    reported(core.ask(check(OPEN, &joe.key, linux("6.1"))).await);
    let (rows, first) = (core.activity().await.len(), newest(&core, joe.device).await);
    core.wait(59);
    reported(core.ask(check(OPEN, &joe.key, linux("6.1"))).await);
    assert_eq!(newest(&core, joe.device).await, first);
    for kernel in ["6.2", "6.3"] {
        reported(core.ask(check(OPEN, &joe.key, linux(kernel))).await);
        let kept = newest(&core, joe.device).await.unwrap().report.linux_kernel_version;
        assert_eq!(kept, Some(Finding::Value(kernel.to_owned())));
    }
    assert_eq!(core.activity().await.len(), rows);
    core.wait(600);
    reported(core.ask(check(OPEN, &joe.key, linux("6.4"))).await);
    assert_eq!(core.activity().await.len(), rows + 1);
    core.wait(3600);
    reported(core.ask(check(OPEN, &joe.key, linux("6.4"))).await);
    assert_eq!(newest(&core, joe.device).await.unwrap().reported_at.as_unix(), core.unix());
    assert_eq!(core.activity().await.len(), rows + 1);
}

#[tokio::test]
async fn a_clock_that_was_ahead_hides_no_change() {
    let (core, joe) = with_member(Policy::Report).await;
    core.wait(365 * 24 * 3600);
    reported(core.ask(check(OPEN, &joe.key, linux("6.1"))).await);
    let rows = core.activity().await.len();
    core.wait(-365 * 24 * 3600);
    reported(core.ask(check(OPEN, &joe.key, linux("6.1"))).await);
    assert_eq!(newest(&core, joe.device).await.unwrap().reported_at.as_unix(), core.unix());
    reported(core.ask(check(OPEN, &joe.key, linux("6.2"))).await);
    assert_eq!(core.activity().await.len(), rows + 1);
}

#[tokio::test]
async fn a_report_is_no_way_around_a_login() {
    let (core, joe) = with_member(Policy::Report).await;
    assert_refused(core.ask(check(OFFICE, &joe.key, linux("6.1"))).await, 16, "unauthorized");
    assert_eq!(core.count("SELECT COUNT(*) FROM authorisations").await, 0);
    assert_eq!(newest(&core, joe.device).await, None);
}

#[tokio::test]
async fn only_a_known_device_with_access_reports() {
    let (core, joe) = with_member(Policy::Report).await;
    core.add_host("web", "Servers", Some(key(50))).await.unwrap();
    assert_refused(core.ask(check(9999, &joe.key, linux("6.1"))).await, 3, "location not found");
    for unknown in ["", "nonsense", &key(99)] {
        assert_refused(core.ask(check(OPEN, unknown, linux("6.1"))).await, 3, "device not found");
    }
    assert_refused(core.ask(check(OPEN, &key(50), linux("6.1"))).await, 16, "unauthorized");
    core.disable("joe").await;
    assert_refused(core.ask(check(OPEN, &joe.key, linux("6.1"))).await, 16, "unauthorized");
    assert_eq!(core.count("SELECT COUNT(*) FROM device_posture").await, 0);
}

#[tokio::test]
async fn what_comes_with_a_login_counts_once_the_login_has_passed() {
    let (core, joe) = with_member(Policy::Report).await;
    let token = login_token(core.ask(begin_login_with(&joe.key, linux("6.1"))).await);
    assert_eq!(newest(&core, joe.device).await, None, "anybody may begin a login");
    passed(core.ask(end_login(&token, &core.code(&joe.seed))).await);
    assert_eq!(newest(&core, joe.device).await.unwrap().report.os_type, "linux");
    core.wait(60);
    let without = login_token(core.ask(begin_login(OFFICE, &joe.key)).await);
    passed(core.ask(end_login(&without, &core.code(&joe.seed))).await);
    assert_eq!(newest(&core, joe.device).await.unwrap().report.os_type, "linux");
}

#[tokio::test]
async fn a_strange_report_is_tidied_and_shuts_nobody_out() {
    let (core, joe) = with_member(Policy::Report).await;
    reported(core.ask(check(OPEN, &joe.key, DevicePostureData::default())).await);
    let strange = DevicePostureData {
        os_type: "\u{1b}[2Jx\n".repeat(10_000),
        os_name: Some(StringCheck { result: None }),
        os_version: Some(StringCheck { result: Some(string_check::Result::Unavailable(-7)) }),
        ..linux("6.1")
    };
    reported(core.ask(check(OPEN, &joe.key, strange)).await);
    let report = newest(&core, joe.device).await.unwrap().report;
    assert!(report.os_type.starts_with("[2Jx[2Jx") && report.os_type.len() <= 128);
    assert_eq!(report.os_name, None);
    assert_eq!(report.os_version, Some(Finding::Unavailable(Reason::NotSaid)));
}

async fn with_member(policy: Policy) -> (Core, crate::mfa::support::Member) {
    let core = Core::with_joe().await.with_settings(|instance| instance.posture = policy).await;
    core.add_location_without_mfa("Servers", &["10.20.0.0/24"]).await;
    let joe = core.enroll("joe", 1).await;
    (core, joe)
}

fn linux(kernel: &str) -> DevicePostureData {
    let text = |text: &str| Some(StringCheck { result: Some(string_check::Result::Value(text.to_owned())) });
    let not_applicable = bool_check::Result::Unavailable(UnavailableReason::NotApplicable.into());
    DevicePostureData {
        defguard_client_version: "2.1.0".to_owned(),
        os_type: "linux".to_owned(),
        os_name: text("Debian"),
        os_version: text("13"),
        disk_encryption: Some(BoolCheck { result: Some(bool_check::Result::Value(true)) }),
        antivirus_present: Some(BoolCheck { result: Some(not_applicable) }),
        windows_ad_domain_joined: None,
        windows_security_update_current: None,
        linux_kernel_version: text(kernel),
        device_integrity: None,
    }
}

fn check(location_id: i64, pubkey: &str, data: DevicePostureData) -> Payload {
    let (pubkey, device_posture_data) = (pubkey.to_owned(), Some(data));
    Payload::DevicePostureCheck(DevicePostureCheckRequest { location_id, pubkey, device_posture_data })
}

fn begin_login_with(pubkey: &str, data: DevicePostureData) -> Payload {
    let (pubkey, posture_data) = (pubkey.to_owned(), Some(data));
    Payload::ClientMfaStart(client::ClientMfaStartRequest { location_id: OFFICE, pubkey, method: 0, posture_data })
}

fn reported(reply: Reply) -> String {
    let core_response::Payload::DevicePostureCheck(checked) = reply.unwrap() else { panic!("no answer to a report") };
    checked.preshared_key
}

async fn newest(core: &Core, device: i64) -> Option<StoredReport> {
    let id = DeviceId::new(device);
    let newest = core.store.read::<_, FindDeviceError, _>(|tx| Box::pin(async move { posture::newest(tx, id).await }));
    newest.await.unwrap()
}
