//! Two messages of one type, field by field.

use prost_reflect::{DynamicMessage, FieldDescriptor, ReflectMessage as _, Value};

/// Two replies to the same call differ in one place.
#[derive(Debug)]
pub(super) struct Difference {
    pub(super) call: String,
    /// Names of fields. Items of a list share theirs.
    pub(super) path: String,
    pub(super) recorded: String,
    pub(super) ours: String,
}

pub(super) fn between(call: &str, recorded: &DynamicMessage, ours: &DynamicMessage) -> Vec<Difference> {
    let mut walk = Walk { call, found: Vec::new() };
    match (payload(recorded), payload(ours)) {
        (recorded_member, our_member) if recorded_member == our_member => walk.messages("", recorded, ours),
        (recorded_member, our_member) => {
            walk.add("payload", told(recorded, recorded_member), told(ours, our_member));
        }
    }
    walk.found
}

/// What a reply carries.
fn payload(reply: &DynamicMessage) -> Option<FieldDescriptor> {
    let payload = reply.descriptor().oneofs().find(|oneof| oneof.name() == "payload").unwrap();
    payload.fields().find(|member| reply.has_field(member))
}

/// In one line: a refusal with its code and text, of a success what it is.
fn told(reply: &DynamicMessage, member: Option<FieldDescriptor>) -> String {
    let Some(member) = member else { return "nothing".to_owned() };
    if member.name() != "core_error" {
        return member.name().to_owned();
    }
    let error = reply.get_field(&member);
    let part = |name| leaf(&error.as_message().unwrap().get_field_by_name(name).unwrap());
    format!("{} {}", part("status_code"), part("message"))
}

struct Walk<'a> {
    call: &'a str,
    found: Vec<Difference>,
}

impl Walk<'_> {
    fn messages(&mut self, path: &str, recorded: &DynamicMessage, ours: &DynamicMessage) {
        for field in recorded.descriptor().fields() {
            let path = if path.is_empty() { field.name().to_owned() } else { format!("{path}.{}", field.name()) };
            let present = |message: &DynamicMessage| !field.supports_presence() || message.has_field(&field);
            match (present(recorded), present(ours)) {
                (true, true) => self.values(&path, &recorded.get_field(&field), &ours.get_field(&field)),
                (false, false) => {}
                (true, false) => self.add(&path, leaf(&recorded.get_field(&field)), "absent".to_owned()),
                (false, true) => self.add(&path, "absent".to_owned(), leaf(&ours.get_field(&field))),
            }
        }
    }

    fn values(&mut self, path: &str, recorded: &Value, ours: &Value) {
        match (recorded, ours) {
            (Value::Message(recorded), Value::Message(ours)) => self.messages(path, recorded, ours),
            (Value::List(recorded), Value::List(ours)) if recorded.len() == ours.len() => {
                for (recorded, ours) in recorded.iter().zip(ours) {
                    self.values(path, recorded, ours);
                }
            }
            (recorded, ours) if recorded == ours => {}
            (recorded, ours) => self.add(path, leaf(recorded), leaf(ours)),
        }
    }

    fn add(&mut self, path: &str, recorded: String, ours: String) {
        self.found.push(Difference { call: self.call.to_owned(), path: path.to_owned(), recorded, ours });
    }
}

fn leaf(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(flag) => flag.to_string(),
        Value::I32(number) | Value::EnumNumber(number) => number.to_string(),
        Value::I64(number) => number.to_string(),
        Value::U32(number) => number.to_string(),
        Value::U64(number) => number.to_string(),
        Value::F32(number) => number.to_string(),
        Value::F64(number) => number.to_string(),
        Value::List(items) => format!("{} items", items.len()),
        Value::Message(_) | Value::Bytes(_) | Value::Map(_) => format!("{value:?}"),
    }
}
