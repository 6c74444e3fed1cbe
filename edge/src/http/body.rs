//! JSON bodies of requests: at most 16 KiB, read within the request's deadline, parsed once.
//!
//! What is wrong is said by kind only, since serde's own words repeat the value.

use std::fmt;

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, Request},
    http::{HeaderMap, HeaderValue, header},
};
use bytes::BytesMut;
use http_body::Body as _;
use http_body_util::BodyExt as _;
use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeOwned, IgnoredAny, MapAccess, Visitor},
};
use serde_json::error::Category;
use tokio::time::{Instant, timeout_at};

use super::{arrival::Arrival, error::ApiError};

/// Every body of the API is far smaller.
const BODY_MAX: usize = 16 * 1024;
/// The API's own bodies have three levels.
const NESTING_MAX: usize = 32;

#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    #[error("the content type is not JSON")]
    ContentType,
    #[error("more than {BODY_MAX} bytes")]
    TooLarge,
    #[error("not JSON, or nested too deeply")]
    Syntax,
    #[error("a field occurs twice")]
    DuplicateField,
    #[error("a field is missing or has the wrong type")]
    WrongShape,
    #[error("no kind of second factor has that name")]
    UnknownMethod,
    #[error("no login of this kind goes through a provider here")]
    UnknownFlow,
    #[error("not 32 bytes in base64")]
    InvalidKey,
    #[error("not received within the deadline")]
    TooSlow,
    #[error("not received whole")]
    Broken,
}

/// The body, parsed.
pub(super) struct JsonBody<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        let deadline = Arrival::of(request.extensions()).deadline;
        if !is_json(request.headers()) {
            return Err(BodyError::ContentType.into());
        }
        let bytes = read(request.into_body(), deadline).await?;
        Ok(Self(parse(&bytes)?))
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes) else { return false };
    let essence = value.split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(b"application/json")
}

async fn read(mut body: Body, deadline: Instant) -> Result<Bytes, BodyError> {
    if body.size_hint().lower() > BODY_MAX as u64 {
        return Err(BodyError::TooLarge);
    }
    // Nearly always one frame, which is then passed on as it is.
    let first = next(&mut body, deadline).await?.unwrap_or_default();
    let Some(second) = next(&mut body, deadline).await? else { return limited(first) };
    let mut whole = BytesMut::from(first);
    let mut more = Some(second);
    while let Some(bytes) = more {
        if whole.len() + bytes.len() > BODY_MAX {
            return Err(BodyError::TooLarge);
        }
        whole.extend_from_slice(&bytes);
        more = next(&mut body, deadline).await?;
    }
    Ok(whole.freeze())
}

fn limited(bytes: Bytes) -> Result<Bytes, BodyError> {
    if bytes.len() > BODY_MAX { Err(BodyError::TooLarge) } else { Ok(bytes) }
}

async fn next(body: &mut Body, deadline: Instant) -> Result<Option<Bytes>, BodyError> {
    while !body.is_end_stream() {
        let frame = timeout_at(deadline, body.frame()).await.map_err(|_| BodyError::TooSlow)?;
        let Some(frame) = frame else { return Ok(None) };
        if let Ok(bytes) = frame.map_err(|_| BodyError::Broken)?.into_data() {
            return Ok(Some(bytes));
        }
    }
    Ok(None)
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, BodyError> {
    if is_too_deep(bytes) {
        return Err(BodyError::Syntax);
    }
    let parsed = if is_object(bytes) {
        serde_json::from_slice(bytes)
    } else {
        // Left alone, serde takes an array for a struct.
        serde_json::from_slice::<IgnoredAny>(bytes).and_then(|_| Err(de::Error::custom("not an object")))
    };
    parsed.map_err(|error: serde_json::Error| match error.classify() {
        Category::Syntax | Category::Eof | Category::Io => BodyError::Syntax,
        Category::Data if has_duplicates(bytes) => BodyError::DuplicateField,
        Category::Data => BodyError::WrongShape,
    })
}

/// serde skips what it does not know without recursion, however deep; nothing honest is.
fn is_too_deep(bytes: &[u8]) -> bool {
    let opens = |byte: &u8| matches!(byte, b'[' | b'{');
    // Nearly always there are too few brackets in all, and nothing more to look at.
    if bytes.iter().filter(|byte| opens(byte)).count() <= NESTING_MAX {
        return false;
    }
    let (mut depth, mut is_text, mut is_escaped) = (0_usize, false, false);
    for byte in bytes {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_text => is_escaped = true,
            b'"' => is_text = !is_text,
            b'[' | b'{' if !is_text => depth += 1,
            b']' | b'}' if !is_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > NESTING_MAX {
            return true;
        }
    }
    false
}

fn is_object(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().first() == Some(&b'{')
}

fn has_duplicates(bytes: &[u8]) -> bool {
    serde_json::from_slice::<Duplicates>(bytes).is_ok_and(|found| found.0)
}

/// Whether the same key occurs twice at the top.
struct Duplicates(bool);

impl<'de> Deserialize<'de> for Duplicates {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Duplicates;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Duplicates, A::Error> {
                let mut seen = std::collections::HashSet::new();
                let mut found = false;
                while let Some((key, IgnoredAny)) = map.next_entry::<String, IgnoredAny>()? {
                    found |= !seen.insert(key);
                }
                Ok(Duplicates(found))
            }
        }
        deserializer.deserialize_map(Keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize, Debug)]
    struct Poll {
        #[allow(dead_code, reason = "only whether it parses counts")]
        token: String,
    }

    #[test]
    fn unknown_fields_are_ignored() {
        assert!(parse::<Poll>(br#"{"token":"t","new":[1,{"a":null}]}"#).is_ok());
    }

    #[test]
    fn what_is_wrong_is_told_by_kind() {
        let table = [
            ("", "not JSON, or nested too deeply"),
            (r#"{"token":"#, "not JSON, or nested too deeply"),
            (r#"{"token":"a"} x"#, "not JSON, or nested too deeply"),
            ("\u{feff}{}", "not JSON, or nested too deeply"),
            (r#"{"token":"a","token":"b"}"#, "a field occurs twice"),
            (r#"{"token":1}"#, "a field is missing or has the wrong type"),
            (r#"{"token":null}"#, "a field is missing or has the wrong type"),
            ("{}", "a field is missing or has the wrong type"),
            (r#" ["t"]"#, "a field is missing or has the wrong type"),
        ];
        for (body, expected) in table {
            assert_eq!(parse::<Poll>(body.as_bytes()).unwrap_err().to_string(), expected, "{body}");
        }
    }

    #[test]
    fn nesting_is_bounded_also_where_nobody_looks() {
        let nested = |levels: usize| format!(r#"{{"token":"t","new":{}{}}}"#, "[".repeat(levels), "]".repeat(levels));
        assert!(parse::<Poll>(nested(NESTING_MAX - 1).as_bytes()).is_ok());
        assert!(matches!(parse::<Poll>(nested(NESTING_MAX).as_bytes()), Err(BodyError::Syntax)));
        assert!(matches!(parse::<Poll>(nested(8000).as_bytes()), Err(BodyError::Syntax)));
    }

    #[test]
    fn brackets_in_texts_nest_nothing() {
        let body = format!(r#"{{"token":"\"{}"}}"#, "[{".repeat(1000));
        assert!(parse::<Poll>(body.as_bytes()).is_ok());
        let flat = format!(r#"{{"token":"t","new":[{}[]]}}"#, "[],".repeat(1000));
        assert!(parse::<Poll>(flat.as_bytes()).is_ok());
    }

    #[test]
    fn only_json_is_taken() {
        let is_taken = |value: &'static str| {
            is_json(&HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(value))]))
        };
        assert!(is_taken("application/json") && is_taken("Application/JSON; charset=utf-8"));
        assert!(!is_taken("text/plain") && !is_taken("application/jsonp") && !is_json(&HeaderMap::new()));
    }
}
