//! A decoded message as the JSON of the recordings.
//!
//! Oneof members carry CamelCase names, enums are integers, bytes are arrays, Empty is null, an absent optional is null.

use prost_reflect::{DynamicMessage, FieldDescriptor, OneofDescriptor, ReflectMessage as _, Value as Proto};
use serde_json::{Map, Value, json};

pub(crate) fn of(message: &DynamicMessage) -> Value {
    let descriptor = message.descriptor();
    if descriptor.full_name() == "google.protobuf.Empty" {
        return Value::Null;
    }
    let plain = descriptor
        .fields()
        .filter(|field| real_oneof(field).is_none())
        .map(|field| (field.name().to_owned(), field_value(message, &field)));
    let oneofs = descriptor
        .oneofs()
        .filter(|oneof| !is_synthetic(oneof))
        .map(|oneof| (oneof.name().to_owned(), oneof_value(message, &oneof)));
    Value::Object(plain.chain(oneofs).collect())
}

/// `optional` is a oneof of one in the descriptors; such a one is not a choice.
pub(crate) fn real_oneof(field: &FieldDescriptor) -> Option<OneofDescriptor> {
    field.containing_oneof().filter(|oneof| !is_synthetic(oneof))
}

pub(crate) fn camel(name: &str) -> String {
    name.split('_').map(|part| part[..1].to_ascii_uppercase() + &part[1..]).collect()
}

fn is_synthetic(oneof: &OneofDescriptor) -> bool {
    oneof.fields().all(|field| field.field_descriptor_proto().proto3_optional())
}

fn field_value(message: &DynamicMessage, field: &FieldDescriptor) -> Value {
    if field.supports_presence() && !message.has_field(field) {
        return Value::Null;
    }
    value(&message.get_field(field))
}

fn oneof_value(message: &DynamicMessage, oneof: &OneofDescriptor) -> Value {
    let member = oneof.fields().find(|field| message.has_field(field));
    member.map_or(Value::Null, |field| json!({ camel(field.name()): value(&message.get_field(&field)) }))
}

fn value(proto: &Proto) -> Value {
    match proto {
        Proto::Bool(value) => json!(value),
        Proto::I32(value) | Proto::EnumNumber(value) => json!(value),
        Proto::I64(value) => json!(value),
        Proto::U32(value) => json!(value),
        Proto::U64(value) => json!(value),
        Proto::F32(value) => json!(value),
        Proto::F64(value) => json!(value),
        Proto::String(text) => json!(text),
        Proto::Bytes(bytes) => json!(bytes.to_vec()),
        Proto::Message(message) => of(message),
        Proto::List(items) => items.iter().map(value).collect(),
        Proto::Map(entries) => entries
            .iter()
            .map(|(key, item)| (key.as_str().expect("maps of the contract have text keys").to_owned(), value(item)))
            .collect::<Map<_, _>>()
            .into(),
    }
}
