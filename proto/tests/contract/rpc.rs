//! Pairs of request and reply, deadlines, and Core's "no".

use std::collections::BTreeSet;

use postern_proto::{
    client_types as client, limits,
    proxy::{CoreError, CoreRequest, CoreResponse, core_request, core_response},
    rejection::Rejection,
    rpc::{Repeat, Rpc, Shed, WrongReply},
    session_key,
};
use prost::Message as _;
use serde_json::Value;
use tonic::Code;

use crate::{descriptors::pool, golden::unhex};

#[test]
fn a_reply_of_the_right_kind_is_unwrapped() {
    let reply = client::InstanceInfoResponse::default();

    let unwrapped = client::InstanceInfoRequest::from_reply(core_response::Payload::InstanceInfo(reply.clone()));

    assert_eq!(unwrapped, Ok(reply));
}

#[test]
fn a_reply_of_another_kind_is_an_error_that_names_the_request() {
    let wrong = client::InstanceInfoRequest::from_reply(core_response::Payload::Empty(()));

    assert_eq!(wrong, Err(WrongReply { kind: "instance_info" }));
    let text = WrongReply { kind: "instance_info" }.to_string();
    assert_eq!(text, "the reply to instance_info has another kind of payload");
}

#[test]
fn the_kind_of_each_payload_is_the_name_of_its_field() {
    let descriptor = pool().get_message_by_name("defguard.proxy.v2.CoreRequest").unwrap();
    let payload = descriptor.oneofs().find(|oneof| oneof.name() == "payload").unwrap();
    let mut kinds = BTreeSet::new();
    for field in payload.fields() {
        let payload = empty_payload(field.number());
        assert_eq!(payload.kind(), field.name());
        kinds.insert(payload.kind());
    }

    assert_eq!(kinds.len(), payload.fields().len());
}

#[test]
fn every_pair_is_the_one_that_a_stock_core_uses() {
    for line in include_str!("../recordings/stock-core-2.0.1.jsonl").lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let (Some(request), Some(reply)) = (line["request_hex"].as_str(), line["reply_hex"].as_str()) else { continue };
        let request = CoreRequest::decode(unhex(request).as_slice()).unwrap().payload.unwrap();
        let reply = CoreResponse::decode(unhex(reply).as_slice()).unwrap().payload.unwrap();
        if !matches!(reply, core_response::Payload::CoreError(_)) {
            assert!(pairs(&request, reply), "{}", line["name"]);
        }
    }
}

#[test]
fn a_wait_for_a_person_is_longer_than_a_stock_clients_patience_and_nothing_else_is() {
    use postern_proto::proxy::AwaitRemoteMfaFinishRequest;

    assert_eq!(AwaitRemoteMfaFinishRequest::DEADLINE.as_secs(), 60);
    assert_eq!(client::InstanceInfoRequest::DEADLINE.as_secs(), 4);
    assert!(client::NewDevice::DEADLINE < std::time::Duration::from_secs(5));
}

#[test]
fn only_calls_without_a_lasting_effect_are_harmless_to_repeat() {
    let harmless = [client::InstanceInfoRequest::REPEAT, client::EnrollmentStartRequest::REPEAT];
    let once = [client::NewDevice::REPEAT, client::ActivateUserRequest::REPEAT, client::ClientMfaFinishRequest::REPEAT];

    assert_eq!((harmless, once), ([Repeat::Harmless; 2], [Repeat::Once; 3]));
}

#[test]
fn polls_are_shed_before_what_a_person_waits_for() {
    assert_eq!(client::InstanceInfoRequest::SHED, Shed::First);
    assert_eq!([client::ClientMfaStartRequest::SHED, client::EnrollmentStartRequest::SHED], [Shed::Last; 2]);
}

#[test]
fn a_rejection_travels_there_and_back() {
    let rejection = Rejection::new(Code::Unauthenticated, "invalid token");
    let wire = CoreError::from(rejection.clone());

    assert_eq!((wire.status_code, wire.message.as_str()), (16, "invalid token"));
    assert_eq!(Rejection::from(wire), rejection);
    assert_eq!(rejection.to_string(), "invalid token");
}

#[test]
fn a_code_from_the_future_is_unknown_and_never_ok() {
    for status_code in [17, 99, -1, i32::MAX] {
        let rejection = Rejection::from(CoreError { status_code, ..CoreError::default() });

        assert_eq!(rejection.code, Code::Unknown, "{status_code}");
    }
}

#[test]
fn a_session_key_of_another_length_is_refused() {
    for length in [0, 32, 63, 65, 128] {
        let key = vec![7; length];

        assert_eq!(session_key::parse(&key), Err(session_key::WrongLength { found: length }));
    }
    assert_eq!(session_key::parse(&[7; 64]), Ok(&[7; limits::SESSION_KEY_LENGTH]));
    let text = session_key::WrongLength { found: 63 }.to_string();
    assert_eq!(text, "a session key has 63 bytes, expected 64");
}

fn pairs(request: &core_request::Payload, reply: core_response::Payload) -> bool {
    use core_request::Payload as Of;
    use postern_proto::{posture::DevicePostureCheckRequest, proxy};
    match request {
        Of::EnrollmentStart(_) => fits::<client::EnrollmentStartRequest>(reply),
        Of::ActivateUser(_) => fits::<client::ActivateUserRequest>(reply),
        Of::NewDevice(_) => fits::<client::NewDevice>(reply),
        Of::ExistingDevice(_) => fits::<client::ExistingDevice>(reply),
        Of::PasswordResetInit(_) => fits::<proxy::PasswordResetInitializeRequest>(reply),
        Of::PasswordResetStart(_) => fits::<proxy::PasswordResetStartRequest>(reply),
        Of::PasswordReset(_) => fits::<proxy::PasswordResetRequest>(reply),
        Of::ClientMfaStart(_) => fits::<client::ClientMfaStartRequest>(reply),
        Of::ClientMfaFinish(_) => fits::<client::ClientMfaFinishRequest>(reply),
        Of::InstanceInfo(_) => fits::<client::InstanceInfoRequest>(reply),
        Of::AuthInfo(_) => fits::<client::AuthInfoRequest>(reply),
        Of::AuthCallback(_) => fits::<proxy::AuthCallbackRequest>(reply),
        Of::ClientMfaOidcAuthenticate(_) => fits::<proxy::ClientMfaOidcAuthenticateRequest>(reply),
        Of::RegisterMobileAuth(_) => fits::<client::RegisterMobileAuthRequest>(reply),
        Of::ClientMfaTokenValidation(_) => fits::<proxy::ClientMfaTokenValidationRequest>(reply),
        Of::CodeMfaSetupStart(_) => fits::<client::CodeMfaSetupStartRequest>(reply),
        Of::CodeMfaSetupFinish(_) => fits::<client::CodeMfaSetupFinishRequest>(reply),
        Of::AwaitRemoteMfaFinish(_) => fits::<proxy::AwaitRemoteMfaFinishRequest>(reply),
        Of::DevicePostureCheck(_) => fits::<DevicePostureCheckRequest>(reply),
        Of::AcmeCertificate(_) | Of::Probe(_) | Of::ProbeReply(_) | Of::Draining(_) | Of::Cancel(_) => false,
    }
}

fn fits<R: Rpc>(reply: core_response::Payload) -> bool {
    R::from_reply(reply).is_ok()
}

/// The member with this number, empty.
fn empty_payload(number: u32) -> core_request::Payload {
    let mut bytes = Vec::new();
    prost::encoding::encode_key(number, prost::encoding::WireType::LengthDelimited, &mut bytes);
    bytes.push(0);
    CoreRequest::decode(bytes.as_slice()).unwrap().payload.unwrap()
}
