//! Login at an identity provider, for enrollment and as a second factor.
//!
//! What Core made for one login is sealed into two cookies of the browser that began it; a callback that another
//! browser brings is refused here, and its code never reaches Core.

mod flow;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::{
    extract::State,
    http::header,
    response::{AppendHeaders, IntoResponse as _, Response},
};
use postern_proto::{client_types, proxy as wire};
use serde::Deserialize;

use self::flow::LoginFlow;
use super::{
    body::JsonBody,
    client_info::ClientInfo,
    error::ApiError,
    json::{self, ToJson, object},
    session::{OPENID_CSRF, OPENID_NONCE, SessionError, SessionJar},
};
use crate::core_client::CoreClient;

#[derive(Deserialize)]
pub(super) struct AuthInfoBody {
    #[serde(rename = "type")]
    flow: LoginFlow,
    state: Option<String>,
}

/// Holds secrets: no `Debug`.
#[derive(Deserialize)]
pub(super) struct CallbackBody {
    #[serde(rename = "type")]
    flow: LoginFlow,
    code: String,
    state: String,
}

/// The provider's address and the words on its button. What else Core says goes into cookies.
struct AuthInfo {
    url: String,
    button_display_name: Option<String>,
}
object!(AuthInfo { url, button_display_name });
object!(wire::AuthCallbackResponse { url, token });

/// Begins a login.
pub(super) async fn auth_info(
    State(core): State<CoreClient>,
    jar: SessionJar,
    ClientInfo(context): ClientInfo,
    JsonBody(body): JsonBody<AuthInfoBody>,
) -> Result<Response, ApiError> {
    let auth_flow_type = body.flow.known()?.into();
    let request = client_types::AuthInfoRequest { redirect_url: String::new(), state: body.state, auth_flow_type };
    let reply = core.call(request, context).await?;
    let wire::AuthInfoResponse { url, csrf_token, nonce, button_display_name } = reply;
    let cookies = [
        (header::SET_COOKIE, jar.seal_for_login(&OPENID_NONCE, &nonce)),
        (header::SET_COOKIE, jar.seal_for_login(&OPENID_CSRF, &csrf_token)),
    ];
    Ok((AppendHeaders(cookies), json::reply(&AuthInfo { url, button_display_name })).into_response())
}

/// Ends a login for enrollment: the token that comes back opens a session.
pub(super) async fn callback(
    State(core): State<CoreClient>,
    jar: SessionJar,
    ClientInfo(context): ClientInfo,
    JsonBody(body): JsonBody<CallbackBody>,
) -> Result<Response, ApiError> {
    body.flow.expect(client_types::AuthFlowType::Enrollment)?;
    let nonce = nonce(&jar, &body.state)?;
    let reply = core.call(wire::AuthCallbackRequest { code: body.code, nonce }, context).await?;
    Ok(finished(&jar, &reply))
}

/// Ends a login as a second factor: the device that waits for it may finish.
pub(super) async fn mfa_callback(
    State(core): State<CoreClient>,
    jar: SessionJar,
    ClientInfo(context): ClientInfo,
    JsonBody(body): JsonBody<CallbackBody>,
) -> Result<Response, ApiError> {
    body.flow.expect(client_types::AuthFlowType::Mfa)?;
    let nonce = nonce(&jar, &body.state)?;
    let request = wire::ClientMfaOidcAuthenticateRequest { code: body.code, state: body.state, nonce };
    core.call(request, context).await?;
    Ok(finished(&jar, &json::Nothing))
}

/// The nonce of the login that this browser began, if the provider's answer belongs to it.
fn nonce(jar: &SessionJar, state: &str) -> Result<String, SessionError> {
    let csrf_token = jar.open(&OPENID_CSRF)?.into_inner();
    let nonce = jar.open(&OPENID_NONCE)?.into_inner();
    verify_slices_are_equal(csrf_token.as_bytes(), state.as_bytes()).map_err(|_| SessionError::OtherBrowser)?;
    Ok(nonce)
}

fn finished(jar: &SessionJar, reply: &impl ToJson) -> Response {
    let removals = [(header::SET_COOKIE, jar.removal(&OPENID_NONCE)), (header::SET_COOKIE, jar.removal(&OPENID_CSRF))];
    (AppendHeaders(removals), json::reply(reply)).into_response()
}
