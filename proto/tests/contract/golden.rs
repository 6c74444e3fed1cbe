//! What a running stock Core 2.0.1 sent and was sent.

use prost_reflect::DynamicMessage;
use serde_json::Value;

use crate::{descriptors, generated, json};

/// In the contract, but younger than the recorded Core or ours: absent in its JSON.
const YOUNGER: [&str; 4] = ["posture_data", "posture_check_required", "context", "retry_after_seconds"];

#[derive(Debug)]
struct Recorded {
    what: String,
    message: &'static str,
    bytes: Vec<u8>,
    json: Value,
}

#[test]
fn every_recorded_message_decodes_to_what_stands_beside_it() {
    let pool = descriptors::pool();
    for recorded in recordings() {
        let descriptor = pool.get_message_by_name(recorded.message).unwrap();
        let decoded = DynamicMessage::decode(descriptor, recorded.bytes.as_slice()).unwrap();

        assert_eq!(without_younger_fields(json::of(&decoded)), recorded.json, "{}", recorded.what);
    }
}

#[test]
fn every_recorded_message_encodes_back_to_the_same_bytes() {
    for recorded in recordings() {
        let seen = generated::decode(recorded.message, &recorded.bytes).unwrap();

        assert_eq!(seen.encoded, recorded.bytes, "{}", recorded.what);
    }
}

#[test]
fn no_line_of_the_recording_is_passed_over() {
    let recordings = recordings();
    let requests = recordings.iter().filter(|r| r.message.ends_with("CoreRequest")).count();
    let replies = recordings.iter().filter(|r| r.message.ends_with("CoreResponse")).count();

    assert_eq!((requests, replies), (53, 57), "53 calls and 4 pushes");
}

fn without_younger_fields(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(name, value)| !(YOUNGER.contains(&name.as_str()) && value.is_null()))
            .map(|(name, value)| (name, without_younger_fields(value)))
            .collect(),
        Value::Array(items) => items.into_iter().map(without_younger_fields).collect(),
        plain @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => plain,
    }
}

fn recordings() -> Vec<Recorded> {
    let lines = include_str!("../recordings/stock-core-2.0.1.jsonl").lines();
    lines.flat_map(|line| halves(&serde_json::from_str(line).unwrap())).collect()
}

fn halves(line: &Value) -> Vec<Recorded> {
    let half = |name: &str, message| {
        let bytes = unhex(line[format!("{name}_hex")].as_str()?);
        Some(Recorded { what: format!("{} of {}", name, line["name"]), message, bytes, json: line[name].clone() })
    };
    [half("request", "defguard.proxy.v2.CoreRequest"), half("reply", "defguard.proxy.v2.CoreResponse")]
        .into_iter()
        .flatten()
        .collect()
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "half a byte");
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}
