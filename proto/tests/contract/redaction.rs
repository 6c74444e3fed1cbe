//! `Debug` prints no text and no bytes but those that `printable.txt` names.
//!
//! Every string and bytes field of every message gets a canary of its own; then the canaries that came out are compared with the list.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message as _;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value};

use crate::{descriptors, generated, json::real_oneof};

/// Canary by the full name of the field that holds it.
type Canaries = BTreeMap<String, String>;

#[test]
fn debug_prints_exactly_the_fields_of_the_list() {
    let printable = printable();
    let mut printed = BTreeSet::new();
    for message in descriptors::messages(&descriptors::pool()) {
        for choice in 0..choices(&message) {
            let mut canaries = Canaries::new();
            let bytes = fill(&message, choice, &mut canaries).encode_to_vec();
            let seen = generated::decode(message.full_name(), &bytes).unwrap();
            for (field, canary) in &canaries {
                let shows = prints(&seen.debug, canary) || prints(&seen.debug_pretty, canary);
                assert_eq!(shows, printable.contains(field), "{field} in {:?}", message.full_name());
                if shows {
                    printed.insert(field.clone());
                }
            }
        }
    }

    assert_eq!(printed, printable, "the list names fields that nothing prints");
}

#[test]
fn the_canaries_reach_every_text_and_bytes_field() {
    let mut canaries = Canaries::new();
    let messages = descriptors::messages(&descriptors::pool());
    for message in &messages {
        for choice in 0..choices(message) {
            fill(message, choice, &mut canaries);
        }
    }
    let texts = messages
        .iter()
        .flat_map(|message| message.fields().collect::<Vec<_>>())
        .filter(|field| field.is_map() || matches!(field.kind(), Kind::String | Kind::Bytes));

    for field in texts {
        assert!(canaries.contains_key(field.full_name()), "{}", field.full_name());
    }
}

#[test]
fn a_canary_is_found_in_each_way_bytes_can_be_printed() {
    let canary = "canary-7-";

    assert!(prints("Text { a: \"canary-7-\" }", canary));
    assert!(prints(&format!("{:#?}", canary.as_bytes().to_vec()), canary));
    assert!(prints(&format!("{:?}", bytes::Bytes::from_static(canary.as_bytes())), canary));
    assert!(prints("63616e6172792d372d", canary));
    assert!(!prints("Text { a: *** }", canary));
}

#[test]
fn every_printable_field_has_a_reason() {
    for line in list() {
        assert!(line.split_whitespace().count() >= 3, "{line}");
    }
}

fn list() -> impl Iterator<Item = &'static str> {
    let lines = include_str!("../../printable.txt").lines();
    lines.filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
}

fn printable() -> BTreeSet<String> {
    list().map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
}

/// As many as the largest oneof has members, so that each is chosen once.
fn choices(message: &MessageDescriptor) -> usize {
    let own = message.oneofs().map(|oneof| oneof.fields().len()).max().unwrap_or(1);
    let nested = message.fields().filter_map(|field| field.kind().as_message().map(choices)).max().unwrap_or(1);
    own.max(nested)
}

fn fill(message: &MessageDescriptor, choice: usize, canaries: &mut Canaries) -> DynamicMessage {
    let mut filled = DynamicMessage::new(message.clone());
    for field in message.fields() {
        let chosen = real_oneof(&field)
            .is_none_or(|oneof| oneof.fields().nth(choice % oneof.fields().len()).as_ref() == Some(&field));
        if chosen {
            filled.set_field(&field, value(&field, choice, canaries));
        }
    }
    filled
}

fn value(field: &FieldDescriptor, choice: usize, canaries: &mut Canaries) -> Value {
    if field.is_map() {
        let canary = canary(field.full_name(), canaries);
        return Value::Map([(MapKey::String(canary.clone()), Value::String(canary))].into());
    }
    let single = match field.kind() {
        Kind::String => Value::String(canary(field.full_name(), canaries)),
        Kind::Bytes => Value::Bytes(canary(field.full_name(), canaries).into_bytes().into()),
        Kind::Message(message) => Value::Message(fill(&message, choice, canaries)),
        Kind::Enum(_) => Value::EnumNumber(1),
        Kind::Bool => Value::Bool(true),
        Kind::Int32 => Value::I32(1),
        Kind::Int64 => Value::I64(1),
        Kind::Uint32 => Value::U32(1),
        Kind::Uint64 => Value::U64(1),
        Kind::Float
        | Kind::Double
        | Kind::Sint32
        | Kind::Sint64
        | Kind::Fixed32
        | Kind::Fixed64
        | Kind::Sfixed32
        | Kind::Sfixed64 => panic!("{} has a type that this test does not know", field.full_name()),
    };
    if field.is_list() { Value::List(vec![single.clone(), single]) } else { single }
}

/// One field of a nested message may be filled several times; it keeps its canary.
fn canary(field: &str, canaries: &mut Canaries) -> String {
    let next = format!("canary-{}-", canaries.len());
    canaries.entry(field.to_owned()).or_insert(next).clone()
}

fn prints(debug: &str, canary: &str) -> bool {
    let dense: String = debug.split_whitespace().collect();
    let numbers: Vec<String> = canary.bytes().map(|byte| byte.to_string()).collect();
    let hex: String = canary.bytes().map(|byte| format!("{byte:02x}")).collect();
    dense.contains(canary) || dense.contains(&numbers.join(",")) || dense.to_ascii_lowercase().contains(&hex)
}
