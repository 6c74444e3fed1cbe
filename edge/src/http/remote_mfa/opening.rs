//! The request that opens a websocket (RFC 6455, 4.2): where it comes from, whether it is one, whose login it names.

use axum::{
    extract::{FromRef, FromRequestParts},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hyper::upgrade::OnUpgrade;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::super::{App, cross_site, error::ApiError};

/// Longest token, in bytes: it is kept as long as the socket lives. A Core's own are far shorter.
const TOKEN_MAX: usize = 2048;
/// Of the random key that a client sends, in bytes.
const KEY_LENGTH: usize = 16;

const UPGRADE: HeaderValue = HeaderValue::from_static("upgrade");
const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");

/// Everything that the request itself decides. Never printed.
pub(in crate::http) struct Opening {
    pub(super) token: String,
    pub(super) handshake: Handshake,
}

/// A client that waits for its 101.
pub(super) struct Handshake {
    accept: HeaderValue,
    upgrade: OnUpgrade,
}

impl<S> FromRequestParts<S> for Opening
where
    App: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        // A browser opens a websocket for the page of any site, with no question asked before.
        if cross_site::is_cross_site(&parts.uri, &parts.headers, App::from_ref(state).public_origin()) {
            return Err(ApiError::CrossSite);
        }
        let accept = accept(&parts.headers).ok_or(ApiError::NotWebsocket)?;
        let upgrade = parts.extensions.remove::<OnUpgrade>().ok_or(ApiError::NotWebsocket)?;
        let token = token(parts.uri.query().unwrap_or_default()).ok_or(ApiError::Query)?;
        Ok(Self { token, handshake: Handshake { accept, upgrade } })
    }
}

impl Handshake {
    /// The 101, and the connection that is left after it was sent.
    pub(super) fn accept(self) -> (Response, OnUpgrade) {
        let headers =
            [(header::CONNECTION, UPGRADE), (header::UPGRADE, WEBSOCKET), (header::SEC_WEBSOCKET_ACCEPT, self.accept)];
        ((StatusCode::SWITCHING_PROTOCOLS, headers).into_response(), self.upgrade)
    }
}

/// What the client must find in the 101; `None` if it asks for no websocket.
fn accept(headers: &HeaderMap) -> Option<HeaderValue> {
    let is_asked = names(headers, &header::CONNECTION, "upgrade") && names(headers, &header::UPGRADE, "websocket");
    let version = headers.get(header::SEC_WEBSOCKET_VERSION)?;
    let key = headers.get(header::SEC_WEBSOCKET_KEY)?.as_bytes();
    let is_key = STANDARD.decode(key).is_ok_and(|key| key.len() == KEY_LENGTH);
    if !is_asked || version != "13" || !is_key {
        return None;
    }
    Some(HeaderValue::try_from(derive_accept_key(key)).expect("base64 is fine in a header"))
}

/// Whether a header that holds a list has this word in it.
fn names(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let lines = headers.get_all(name).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|found| found.trim().eq_ignore_ascii_case(word))
}

/// The one `token` of a query. Of two, one might be checked here and the other behind us.
fn token(query: &str) -> Option<String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let mut values = pairs.filter(|(name, _)| *name == "token").map(|(_, value)| value);
    let token = decoded(values.next()?)?;
    let is_right = values.next().is_none() && (1..=TOKEN_MAX).contains(&token.len());
    is_right.then_some(token)
}

/// Percent-decoded. A plus stays one: tokens have no blanks.
fn decoded(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len().min(TOKEN_MAX));
    let mut rest = value.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (digits, after) = rest.split_first_chunk::<2>()?;
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        bytes.push(digit(digits[0])? * 16 + digit(digits[1])?);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_names_one_token() {
        for (query, expected) in [
            ("token=a.b-c_d", Some("a.b-c_d")),
            ("x=1&token=a&y", Some("a")),
            ("token=a%2Bb%3d+", Some("a+b=+")),
            ("", None),
            ("token", None),
            ("token=", None),
            ("Token=a", None),
            ("token=a&token=a", None),
            ("token=a&x=1&token=b", None),
            ("token=%", None),
            ("token=%4", None),
            ("token=%zz", None),
            ("token=%+1", None),
            ("token=%ff", None),
        ] {
            assert_eq!(token(query).as_deref(), expected, "{query}");
        }
        let longest = format!("token={}", "x".repeat(TOKEN_MAX));
        assert!(token(&longest).is_some() && token(&format!("{longest}x")).is_none());
    }

    #[test]
    fn only_what_asks_for_a_websocket_is_accepted() {
        const RIGHT: [(&str, &str); 4] = [
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        let headers = |lines: &[(&'static str, &'static str)]| {
            let parsed =
                lines.iter().map(|&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
            HeaderMap::from_iter(parsed)
        };
        // The example of RFC 6455, 1.3.
        assert_eq!(accept(&headers(&RIGHT)).unwrap(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        for (at, wrong) in [(0, "close"), (1, "h2c"), (2, "8"), (3, "dGhlIHNhbXBsZQ=="), (3, ""), (3, "x")] {
            let mut lines = RIGHT;
            lines[at].1 = wrong;
            assert!(accept(&headers(&lines)).is_none(), "{lines:?}");
        }
        for absent in 0..RIGHT.len() {
            let mut lines = RIGHT.to_vec();
            lines.remove(absent);
            assert!(accept(&headers(&lines)).is_none(), "{lines:?}");
        }
    }
}
