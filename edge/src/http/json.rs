//! JSON replies: which fields each has, and how they are written.
//!
//! Writing them is the largest part of a poll, and texts are nearly all of it; so texts are looked through sixteen
//! bytes at a time and copied whole, which serde_json, byte by byte, takes several times as long for.

use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::Response,
};

const APPLICATION_JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Fits a device's configuration for a few locations without growing.
const CAPACITY: usize = 4096;

/// Can be part of a reply.
pub(super) trait ToJson {
    fn write(&self, out: &mut Vec<u8>);
}

/// Lists the public fields of a type. What is not listed stays inside; what is absent is null.
macro_rules! object {
    ($type:ty { $first:ident $(, $field:ident)* $(,)? }) => {
        impl $crate::http::json::ToJson for $type {
            fn write(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(concat!("{\"", stringify!($first), "\":").as_bytes());
                $crate::http::json::ToJson::write(&self.$first, out);
                $(
                    out.extend_from_slice(concat!(",\"", stringify!($field), "\":").as_bytes());
                    $crate::http::json::ToJson::write(&self.$field, out);
                )*
                out.push(b'}');
            }
        }
    };
}
pub(super) use object;

/// An object without fields.
pub(super) struct Nothing;

/// A 200 with this body.
pub(super) fn reply(body: &impl ToJson) -> Response {
    let mut bytes = Vec::with_capacity(CAPACITY);
    body.write(&mut bytes);
    let mut response = Response::new(Body::from(bytes));
    response.headers_mut().insert(header::CONTENT_TYPE, APPLICATION_JSON);
    response
}

impl ToJson for Nothing {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{}");
    }
}

impl ToJson for bool {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(if *self { b"true" } else { b"false" });
    }
}

impl ToJson for i32 {
    fn write(&self, out: &mut Vec<u8>) {
        i64::from(*self).write(out);
    }
}

impl ToJson for i64 {
    fn write(&self, out: &mut Vec<u8>) {
        serde_json::to_writer(out, self).expect("a number is written to memory");
    }
}

impl ToJson for str {
    fn write(&self, out: &mut Vec<u8>) {
        let mut rest = self.as_bytes();
        out.push(b'"');
        while let Some(at) = first_special(rest) {
            out.extend_from_slice(&rest[..at]);
            write_escaped(rest[at], out);
            rest = &rest[at + 1..];
        }
        out.extend_from_slice(rest);
        out.push(b'"');
    }
}

impl ToJson for String {
    fn write(&self, out: &mut Vec<u8>) {
        self.as_str().write(out);
    }
}

impl<T: ToJson + ?Sized> ToJson for &T {
    fn write(&self, out: &mut Vec<u8>) {
        (**self).write(out);
    }
}

impl<T: ToJson> ToJson for Option<T> {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Some(value) => value.write(out),
            None => out.extend_from_slice(b"null"),
        }
    }
}

impl<T: ToJson> ToJson for Vec<T> {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(b'[');
        for (at, value) in self.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            value.write(out);
        }
        out.push(b']');
    }
}

fn first_special(bytes: &[u8]) -> Option<usize> {
    let (chunks, tail) = bytes.as_chunks::<16>();
    if let Some(at) = chunks.iter().position(has_special) {
        return chunks[at].iter().position(|byte| is_special(*byte)).map(|within| at * 16 + within);
    }
    // What is left is looked at in one go as well, filled up with blanks.
    let mut last = [b' '; 16];
    last[..tail.len()].copy_from_slice(tail);
    if !has_special(&last) {
        return None;
    }
    tail.iter().position(|byte| is_special(*byte)).map(|within| chunks.len() * 16 + within)
}

/// Without an early end, so that the compiler compares all sixteen at once.
fn has_special(bytes: &[u8; 16]) -> bool {
    bytes.iter().fold(false, |found, byte| found | is_special(*byte))
}

/// Must be escaped (RFC 8259, section 7).
fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

fn write_escaped(byte: u8, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    match byte {
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
        _ => {
            let (high, low) = (DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 0xf)]);
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sample {
        text: String,
        number: i64,
        small: Option<i32>,
        flag: bool,
        list: Vec<String>,
        absent: Option<String>,
    }
    object!(Sample { text, number, small, flag, list, absent });

    fn json(value: &impl ToJson) -> String {
        let mut out = Vec::new();
        value.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn all_fields_are_present() {
        let mut sample =
            Sample { text: "a".into(), number: i64::MIN, small: Some(-1), flag: true, list: vec![], absent: None };
        let expected = r#"{"text":"a","number":-9223372036854775808,"small":-1,"flag":true,"list":[],"absent":null}"#;
        assert_eq!(json(&sample), expected);
        sample.list = vec!["b".into(), "c".into()];
        assert!(json(&sample).contains(r#""list":["b","c"]"#));
        assert_eq!(json(&Nothing), "{}");
    }

    #[test]
    fn every_text_is_read_back_as_it_was() {
        const CHARACTERS: [char; 12] =
            ['a', '"', '\\', '\n', '\0', '\u{1f}', '\u{7f}', 'ä', '\u{2028}', '😀', '/', ' '];
        for length in 0..80 {
            for _ in 0..20 {
                let text: String = (0..length).map(|_| CHARACTERS[rand::random_range(0..CHARACTERS.len())]).collect();
                assert_eq!(serde_json::from_str::<String>(&json(&text)).unwrap(), text);
            }
        }
    }

    #[test]
    fn every_single_byte_is_escaped_as_it_must_be() {
        for byte in 0..0x80_u8 {
            for before in [0, 7, 15, 16, 17, 40] {
                let text = format!("{}{}x", "a".repeat(before), char::from(byte));
                assert_eq!(serde_json::from_str::<String>(&json(&text)).unwrap(), text, "{byte} after {before}");
            }
        }
    }
}
