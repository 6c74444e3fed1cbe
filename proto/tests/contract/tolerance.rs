//! What a younger or a wrong peer may send.

use bytes::BufMut as _;
use postern_proto::proxy::{CoreRequest, CoreResponse, core_request, core_response};
use prost::{
    Message as _,
    encoding::{WireType, encode_key, encode_varint},
};

/// 23 and 21 are the next stock numbers, 1005 the next of ours, the last the highest possible.
const UNKNOWN: [u32; 4] = [21, 23, 1006, 536_870_911];

#[test]
fn an_unknown_member_of_the_payload_decodes_to_no_payload() {
    for number in UNKNOWN {
        let bytes = with_field(7, number);

        assert_eq!(CoreResponse::decode(bytes.as_slice()).unwrap(), CoreResponse { id: 7, payload: None });
        if number != 21 {
            assert_eq!(CoreRequest::decode(bytes.as_slice()).unwrap(), CoreRequest { id: 7, ..Default::default() });
        }
    }
}

#[test]
fn an_unknown_field_beside_a_known_payload_changes_nothing() {
    let known = CoreResponse { id: 9, payload: Some(core_response::Payload::Empty(())) };
    for number in UNKNOWN {
        let mut bytes = known.encode_to_vec();
        bytes.extend(with_field(9, number));

        assert_eq!(CoreResponse::decode(bytes.as_slice()).unwrap(), known);
    }
}

#[test]
fn the_context_of_a_request_is_invisible_to_a_peer_that_does_not_know_it() {
    let request = CoreRequest {
        id: 3,
        payload: Some(core_request::Payload::InstanceInfo(Default::default())),
        ..Default::default()
    };
    let with_context = CoreRequest { context: Some(Default::default()), ..request.clone() };
    let added = with_context.encode_to_vec();

    let (known, context) = added.split_at(request.encoded_len());
    assert_eq!(known, request.encode_to_vec());
    assert_eq!(context[..2], [0xc2, 0x3e], "field 1000, length-delimited");
}

#[test]
fn the_last_of_two_payloads_holds() {
    let first = CoreResponse { id: 1, payload: Some(core_response::Payload::Empty(())) };
    let second = CoreResponse { id: 2, payload: Some(core_response::Payload::ClearHttpsCerts(())) };
    let bytes = [first.encode_to_vec(), second.encode_to_vec()].concat();

    assert_eq!(CoreResponse::decode(bytes.as_slice()).unwrap(), second);
}

#[test]
fn an_enum_value_from_the_future_is_kept_as_a_number() {
    let bytes = [0x18, 0x05];

    let request = postern_proto::client_types::ClientMfaStartRequest::decode(&bytes[..]).unwrap();

    assert_eq!(request.method, 5);
    assert_eq!(request.encode_to_vec(), bytes);
}

#[test]
fn text_that_is_not_utf_8_is_an_error() {
    let token = [0x0a, 0x02, 0xc3, 0x28];

    assert!(postern_proto::client_types::EnrollmentStartRequest::decode(&token[..]).is_err());
}

#[test]
fn a_length_beyond_the_end_is_an_error_and_reserves_nothing() {
    let mut bytes = Vec::new();
    encode_key(3, WireType::LengthDelimited, &mut bytes);
    encode_varint(u64::MAX >> 1, &mut bytes);

    assert!(CoreRequest::decode(bytes.as_slice()).is_err());
}

#[test]
fn random_bytes_never_panic() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..20_000 {
        let length = next() % 64;
        let bytes: Vec<u8> = (0..length).map(|_| next().to_le_bytes()[3]).collect();
        if let Ok(request) = CoreRequest::decode(bytes.as_slice()) {
            assert_eq!(CoreRequest::decode(request.encode_to_vec().as_slice()).unwrap(), request);
        }
        if let Ok(reply) = CoreResponse::decode(bytes.as_slice()) {
            assert_eq!(CoreResponse::decode(reply.encode_to_vec().as_slice()).unwrap(), reply);
        }
    }
}

/// An envelope with this id and one more field: a message of three bytes.
fn with_field(id: u64, number: u32) -> Vec<u8> {
    let mut bytes = CoreResponse { id, payload: None }.encode_to_vec();
    encode_key(number, WireType::LengthDelimited, &mut bytes);
    encode_varint(3, &mut bytes);
    bytes.put_slice(&[0x0a, 0x01, b'x']);
    bytes
}
