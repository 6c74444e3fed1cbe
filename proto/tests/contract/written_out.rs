//! Each message of the contract with every field set, and with none, against bytes that this crate did not write.

use std::collections::BTreeSet;

use prost_reflect::{DynamicMessage, MessageDescriptor};
use serde_json::Value;

use crate::{descriptors, generated, golden::unhex, json};

#[derive(Debug)]
struct Line {
    message: String,
    bytes: Vec<u8>,
    json: Value,
}

#[test]
fn every_written_out_message_decodes_to_what_stands_beside_it() {
    let pool = descriptors::pool();
    for line in lines() {
        let descriptor = pool.get_message_by_name(&line.message).unwrap();
        let decoded = DynamicMessage::decode(descriptor, line.bytes.as_slice()).unwrap();

        assert_eq!(json::of(&decoded), line.json, "{}", line.message);
        assert_eq!(decoded.unknown_fields().count(), 0, "{}", line.message);
    }
}

#[test]
fn every_written_out_message_encodes_back_to_the_same_bytes() {
    for line in lines() {
        let seen = generated::decode(&line.message, &line.bytes).unwrap();

        assert_eq!(seen.encoded, line.bytes, "{}", line.message);
    }
}

#[test]
fn no_field_of_the_contract_is_forgotten() {
    let pool = descriptors::pool();
    let lines = lines();
    let contract: BTreeSet<String> = descriptors::messages(&pool).iter().flat_map(fields).collect();
    let set: BTreeSet<String> = lines.iter().flat_map(|line| fields_set(&line.message, &line.json)).collect();

    assert_eq!(contract, set);
    let messages: BTreeSet<_> = lines.iter().map(|line| line.message.as_str()).collect();
    assert_eq!(descriptors::messages(&pool).len(), messages.len());
}

#[test]
fn a_cut_message_is_an_error_and_never_a_panic() {
    for line in lines() {
        for length in 0..line.bytes.len() {
            // A cut between two fields leaves a message; anywhere else is an error.
            if let Ok(seen) = generated::decode(&line.message, &line.bytes[..length]) {
                assert_eq!(seen.encoded, line.bytes[..length], "{}", line.message);
            }
        }
    }
}

/// `package.Message.field`, or `package.Message.oneof.Member`.
fn fields(message: &MessageDescriptor) -> Vec<String> {
    let name = message.full_name();
    message
        .fields()
        .map(|field| match json::real_oneof(&field) {
            Some(oneof) => format!("{name}.{}.{}", oneof.name(), json::camel(field.name())),
            None => format!("{name}.{}", field.name()),
        })
        .collect()
}

fn fields_set(message: &str, value: &Value) -> Vec<String> {
    let fields = value.as_object().expect("a message is an object");
    fields
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| match (name.as_str(), value.as_object()) {
            ("payload" | "result", Some(member)) => format!("{message}.{name}.{}", member.keys().next().unwrap()),
            _ => format!("{message}.{name}"),
        })
        .collect()
}

fn lines() -> Vec<Line> {
    let lines = include_str!("../recordings/written-out.jsonl").lines();
    lines
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            let bytes = unhex(line["hex"].as_str().unwrap());
            Line { message: line["message"].as_str().unwrap().to_owned(), bytes, json: line["json"].clone() }
        })
        .collect()
}
