//! What the provider answers.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures::stream;
use serde_json::{Value, json};

use super::{
    CLIENT_ID, CLIENT_SECRET, Grant, Misbehaviour, Shared,
    signing::{challenge, half_hash},
};

/// Where a cloud's machines find their secrets.
const METADATA_SERVICE: &str = "http://169.254.169.254/latest/meta-data/";

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/.well-known/openid-configuration", get(metadata))
        .route("/keys", get(keys))
        .route("/authorize", get(authorize))
        .route("/token", post(token))
        .with_state(shared)
}

async fn metadata(State(shared): State<Arc<Shared>>) -> Response {
    let issuer = &shared.issuer;
    let misbehaviour = shared.with(|state| {
        state.asked.metadata += 1;
        state.misbehaviour
    });
    let mut metadata = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/keys"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256", "RS256", "EdDSA", "HS256", "none"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic"],
    });
    match misbehaviour {
        Some(Misbehaviour::OtherMetadata) => metadata["issuer"] = json!("https://id.example.org"),
        Some(Misbehaviour::UnsafeKeyAddress) => metadata["jwks_uri"] = json!(METADATA_SERVICE),
        Some(Misbehaviour::MetadataRedirect) => return redirect(METADATA_SERVICE),
        _ => {}
    }
    axum::Json(metadata).into_response()
}

async fn keys(State(shared): State<Arc<Shared>>) -> Response {
    let (misbehaviour, set) = shared.with(|state| {
        state.asked.keys += 1;
        (state.misbehaviour, state.keys.set())
    });
    match misbehaviour {
        Some(Misbehaviour::HugeKeys) => huge(),
        Some(Misbehaviour::StreamedKeys) => endless(),
        _ => axum::Json(set).into_response(),
    }
}

async fn authorize(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Response {
    let query = pairs(&query.unwrap_or_default());
    let asked = |name: &str| query.get(name).map(String::as_str);
    let is_right = asked("response_type") == Some("code")
        && asked("client_id") == Some(CLIENT_ID)
        && asked("code_challenge_method") == Some("S256")
        && asked("scope").is_some_and(|scopes| scopes.split(' ').any(|scope| scope == "openid"));
    let (Some(redirect_uri), Some(state), Some(nonce), Some(challenge), true) =
        (asked("redirect_uri"), asked("state"), asked("nonce"), asked("code_challenge"), is_right)
    else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let code = shared.with(|known| {
        known.codes_given += 1;
        let code = format!("canary-code-{}", known.codes_given);
        let grant = Grant {
            redirect_uri: redirect_uri.to_owned(),
            nonce: nonce.to_owned(),
            challenge: challenge.to_owned(),
            account: known.account.clone(),
        };
        known.codes.insert(code.clone(), grant);
        code
    });
    redirect(&format!("{redirect_uri}?code={code}&state={}", percent_encoded(state)))
}

async fn token(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let misbehaviour = shared.with(|state| {
        state.asked.tokens += 1;
        state.misbehaviour
    });
    match misbehaviour {
        Some(Misbehaviour::TokenRedirects) => return redirect(METADATA_SERVICE),
        Some(Misbehaviour::TokenStreams) => return endless(),
        Some(Misbehaviour::TokenIsHuge) => return huge(),
        Some(Misbehaviour::TokenFails) => return StatusCode::BAD_GATEWAY.into_response(),
        Some(Misbehaviour::TokenWaits) => shared.released.notified().await,
        Some(Misbehaviour::NotJson) => return "<html>canary</html>".into_response(),
        _ => {}
    }
    let form = pairs(&String::from_utf8_lossy(&body));
    let sent = |name: &str| form.get(name).cloned().unwrap_or_default();
    if !is_client(&headers) {
        return refusal(StatusCode::UNAUTHORIZED, "invalid_client");
    }
    let grant = shared.with(|state| state.codes.remove(&sent("code"))).filter(|grant| {
        sent("grant_type") == "authorization_code"
            && sent("redirect_uri") == grant.redirect_uri
            && challenge(&sent("code_verifier")) == grant.challenge
            && misbehaviour != Some(Misbehaviour::RefusesCode)
    });
    let Some(grant) = grant else { return refusal(StatusCode::BAD_REQUEST, "invalid_grant") };
    let id_token = shared.with(|state| {
        let hash = half_hash(&state.keys, ACCESS_TOKEN);
        state.keys.token(&claims(&shared.issuer, &grant, &hash, misbehaviour), misbehaviour)
    });
    let mut answer = json!({ "access_token": ACCESS_TOKEN, "token_type": "Bearer", "expires_in": 60 });
    if misbehaviour != Some(Misbehaviour::NoIdToken) {
        answer["id_token"] = json!(id_token);
    }
    axum::Json(answer).into_response()
}

const ACCESS_TOKEN: &str = "canary-access-token";

fn claims(issuer: &str, grant: &Grant, hash: &str, misbehaviour: Option<Misbehaviour>) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
    let mut claims = json!({
        "iss": issuer, "aud": CLIENT_ID, "azp": CLIENT_ID, "sub": grant.account.subject, "nonce": grant.nonce,
        "iat": now, "exp": now + 300, "at_hash": hash,
        "preferred_username": "ada", "email_verified": grant.account.email_verified,
    });
    if let Some(email) = &grant.account.email {
        claims["email"] = json!(email);
    }
    let mut put = |name: &str, value: Value| claims[name] = value;
    match misbehaviour {
        Some(Misbehaviour::WrongIssuer) => put("iss", json!("https://id.example.org")),
        Some(Misbehaviour::IssuerWithSlash) => put("iss", json!(format!("{issuer}/"))),
        Some(Misbehaviour::NoIssuer) => put("iss", Value::Null),
        Some(Misbehaviour::WrongAudience) => put("aud", json!("another-client")),
        Some(Misbehaviour::MoreAudiences) => put("aud", json!([CLIENT_ID, "another-client"])),
        Some(Misbehaviour::NoAudience) => put("aud", json!([])),
        Some(Misbehaviour::OtherAuthorizedParty) => put("azp", json!("another-client")),
        Some(Misbehaviour::WrongNonce) => put("nonce", json!("another-nonce")),
        Some(Misbehaviour::NoNonce) => put("nonce", Value::Null),
        Some(Misbehaviour::Expired) => put("exp", json!(now - 1)),
        Some(Misbehaviour::NoExpiry) => put("exp", Value::Null),
        Some(Misbehaviour::IssuedLongAgo) => put("iat", json!(now - 3600)),
        Some(Misbehaviour::IssuedInFuture) => put("iat", json!(now + 3600)),
        Some(Misbehaviour::NoSubject) => put("sub", Value::Null),
        Some(Misbehaviour::EmptySubject) => put("sub", json!("")),
        Some(Misbehaviour::LongSubject) => put("sub", json!("s".repeat(256))),
        Some(Misbehaviour::WrongAccessTokenHash) => put("at_hash", json!("AAAAAAAAAAAAAAAAAAAAAA")),
        _ => {}
    }
    claims
}

/// RFC 6749, section 2.3.1: both parts are encoded as a form is.
fn is_client(headers: &HeaderMap) -> bool {
    let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Basic "));
    let decoded = shown.and_then(|shown| String::from_utf8(STANDARD.decode(shown).ok()?).ok());
    let pair = decoded.as_deref().and_then(|decoded| decoded.split_once(':'));
    pair.is_some_and(|(id, secret)| decoded_form(id) == CLIENT_ID && decoded_form(secret) == CLIENT_SECRET)
}

fn refusal(status: StatusCode, error: &str) -> Response {
    (status, axum::Json(json!({ "error": error }))).into_response()
}

fn redirect(location: &str) -> Response {
    (StatusCode::FOUND, [(header::LOCATION, location)]).into_response()
}

fn huge() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], " ".repeat(300 * 1024) + "{}").into_response()
}

/// JSON that goes on for as long as somebody reads it, slowly enough to stay below any size.
fn endless() -> Response {
    let spaces = stream::unfold((), |()| async {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        Some((Ok::<_, std::io::Error>(Bytes::from_static(b" ")), ()))
    });
    ([(header::CONTENT_TYPE, "application/json")], Body::from_stream(spaces)).into_response()
}

/// The pairs of a query or a form.
pub(super) fn pairs(text: &str) -> HashMap<String, String> {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded_form(name), decoded_form(value))
    };
    text.split('&').map(pair).collect()
}

fn decoded_form(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = after.get(..2).and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        match (first, escaped) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            (b'+', _) => {
                bytes.push(b' ');
                rest = after;
            }
            (byte, _) => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| {
        if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    text.bytes().map(encode).collect()
}
