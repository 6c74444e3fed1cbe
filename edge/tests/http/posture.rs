//! What a device says of its state, and what Core makes of it.

use postern_edge::testing::Answer;
use postern_proto::{
    client_types::ClientMfaStartRequest,
    posture::{
        BoolCheck, DevicePostureCheckRequest, DevicePostureData, DevicePostureRejection, StringCheck, bool_check,
        string_check,
    },
    proxy::{core_request::Payload as Asked, core_response::Payload},
};
use serde_json::json;

use crate::{
    answers::PRESHARED_KEY,
    harness::Setting,
    table::{Open, with_cookie},
};

const CONNECT: &str = "/api/v1/posture/connect";
const REPORT: &str = r#"{"defguard_client_version":"2.1.0","os_type":"linux","os_name":{"result":{"Value":"Ubuntu"}},
    "os_version":null,"disk_encryption":{"result":{"Unavailable":2}},"windows_security_update_age_days":{"result":{"Value":3}}}"#;

fn report() -> DevicePostureData {
    DevicePostureData {
        defguard_client_version: "2.1.0".into(),
        os_type: "linux".into(),
        os_name: Some(StringCheck { result: Some(string_check::Result::Value("Ubuntu".into())) }),
        disk_encryption: Some(BoolCheck { result: Some(bool_check::Result::Unavailable(2)) }),
        ..DevicePostureData::default()
    }
}

#[tokio::test]
async fn a_device_in_order_gets_its_key() {
    let open = Open::new(Setting::default()).await;
    let body = format!(r#"{{"location_id":7,"pubkey":"k=","device_posture_data":{REPORT}}}"#);
    let reply = open.site.post(CONNECT, &body).await;
    assert_eq!((reply.status, reply.json()), (200, json!({"preshared_key": PRESHARED_KEY})));
    let asked = DevicePostureCheckRequest { location_id: 7, pubkey: "k=".into(), device_posture_data: Some(report()) };
    assert_eq!(open.latest().await, Asked::DevicePostureCheck(asked));
}

#[tokio::test]
async fn a_device_that_is_not_hears_every_reason() {
    let open = Open::new(Setting::default()).await;
    for (reasons, text) in [(vec!["disk is not encrypted"], "disk is not encrypted"), (vec!["a", "b"], "a, b")] {
        let reasons: Vec<String> = reasons.into_iter().map(str::to_owned).collect();
        open.answer(move |_| {
            let failed_posture_checks = reasons.clone();
            Answer::Reply(Payload::DevicePostureRejected(DevicePostureRejection { failed_posture_checks }))
        });
        let reply = open.site.post(CONNECT, r#"{"location_id":7,"pubkey":"k="}"#).await;
        reply.expect_error(403, "posture_rejected", text);
    }
}

#[tokio::test]
async fn what_a_device_says_when_it_logs_in_is_passed_on_too() {
    let open = Open::new(Setting::default()).await;
    let body = format!(r#"{{"location_id":7,"pubkey":"k=","method":0,"posture_data":{REPORT}}}"#);
    assert_eq!(with_cookie(&open.site, "/api/v1/client-mfa/start", "", &body).await.status, 200);
    let asked = ClientMfaStartRequest { location_id: 7, pubkey: "k=".into(), method: 0, posture_data: Some(report()) };
    assert_eq!(open.latest().await, Asked::ClientMfaStart(asked));
}
