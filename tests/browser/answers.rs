//! What the Core of these tests replies.

use postern_edge::testing::Answer;
use postern_proto::{
    proxy::{
        AuthCallbackResponse, AuthInfoResponse, CoreRequest, PasswordResetStartResponse, core_request,
        core_response::Payload,
    },
    rejection::{Code, Rejection},
};

/// 2100: longer than any test.
const DEADLINE: i64 = 4_102_444_800;
/// As Core makes them for a login: base64, with every sign that an address may garble.
pub(crate) const STATE: &str = "Pz8/Pj4+.+a/b+c==";
pub(crate) const CODE: &str = "4/0AX4+code";

/// Everything succeeds; the identity provider lives at this address.
#[allow(clippy::wildcard_enum_match_arm, reason = "a page that asks for anything else has failed")]
pub(crate) fn with_provider(url: String) -> impl Fn(&CoreRequest) -> Answer + Send + Sync + 'static {
    move |request| match request.payload.as_ref().expect("a payload") {
        core_request::Payload::PasswordResetInit(_)
        | core_request::Payload::PasswordReset(_)
        | core_request::Payload::ClientMfaOidcAuthenticate(_) => Answer::Reply(Payload::Empty(())),
        core_request::Payload::PasswordResetStart(_) => {
            Answer::Reply(Payload::PasswordResetStart(PasswordResetStartResponse { deadline_timestamp: DEADLINE }))
        }
        core_request::Payload::AuthInfo(_) => Answer::Reply(Payload::AuthInfo(AuthInfoResponse {
            url: url.clone(),
            csrf_token: STATE.to_owned(),
            nonce: "nonce".to_owned(),
            button_display_name: None,
        })),
        core_request::Payload::AuthCallback(_) => Answer::Reply(Payload::AuthCallback(AuthCallbackResponse {
            url: "https://vpn.example.org/".to_owned(),
            token: "enrollment-token".to_owned(),
        })),
        other => panic!("no page asks for {}", other.kind()),
    }
}

/// Everything succeeds, and nobody leaves for a provider.
pub(crate) fn right(request: &CoreRequest) -> Answer {
    with_provider(String::new())(request)
}

/// Everything is refused like this.
pub(crate) fn refusing(code: Code, message: &'static str) -> impl Fn(&CoreRequest) -> Answer + Send + Sync + 'static {
    move |_| Answer::Reject(Rejection::new(code, message))
}
