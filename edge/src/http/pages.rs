//! The pages that mails, clients and identity providers send people to, and what these pages load.
//!
//! All of it is part of the program. Nothing of a request is ever written into a page; what a page was opened with, its
//! script takes from the address bar and removes there.

mod assets;
mod frame;

use std::sync::LazyLock;

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, Uri, header},
    response::{IntoResponse as _, Response},
    routing::{MethodRouter, Router, get},
};

use self::frame::Page;
use super::error::{Answer, ApiError};

/// Scripts, styles and calls from this Edge only; nothing inline, nobody's frame, no form that a browser sends by itself.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; object-src 'none'; \
     form-action 'none'; frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'; \
     trusted-types 'none'",
);
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

macro_rules! page {
    ($path:literal, $title:literal, [$($part:literal),+] $(, $script:literal)?) => {
        (
            $path,
            Page {
                title: $title,
                parts: &[$(include_str!(concat!("../../web/pages/", $part, ".html"))),+],
                scripts: &[$(concat!("/assets/", $script, ".js"))?],
            },
        )
    };
}

/// Every path that something outside points at. A mail's plain text joins address and path with two slashes.
const PAGES: &[(&str, Page)] = &[
    page!("/", "Set up your VPN client", ["start", "ready"], "start"),
    page!("/open-desktop", "Set up your VPN client", ["start", "ready"], "start"),
    page!("//open-desktop", "Set up your VPN client", ["start", "ready"], "start"),
    page!("/enrollment-start", "Set up your VPN client", ["start", "ready"], "start"),
    page!("/download", "Set up your VPN client", ["start", "ready"], "start"),
    page!("/client-setup", "Set up your VPN client", ["start", "ready"], "start"),
    page!("/password", "Reset your password", ["password"], "password"),
    page!("/password/sent", "Look into your inbox", ["password-sent"]),
    page!("/password-reset", "Choose a new password", ["password-reset"], "password-reset"),
    page!("/password/finish", "Password changed", ["password-finish"]),
    page!("/openid/mfa", "Sign in", ["openid-mfa"], "openid-mfa"),
    page!("/openid/mfa/callback", "Sign in", ["openid-mfa-callback"], "openid-mfa-callback"),
    page!("/openid/callback", "Sign in", ["openid-callback", "ready"], "openid-callback"),
    page!("/openid/error", "Sign-in failed", ["openid-error"]),
    page!("/link-invalid", "This link is not valid", ["link-invalid"]),
    page!("/session-end", "Your session has ended", ["session-end"]),
    page!("/server-warning", "Not available", ["server-warning"]),
];
const NOT_FOUND: (&str, Page) = page!("", "Nothing here", ["not-found"]);

/// Pages and what they load, as routes.
pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let pages = PAGES.iter().fold(Router::new(), |routes, (path, page)| routes.route(path, served(page.html())));
    assets::ASSETS.iter().fold(pages, |routes, asset| routes.route(asset.path, asset.served()))
}

fn served<S: Clone + Send + Sync + 'static>(html: Bytes) -> MethodRouter<S> {
    get(move || {
        let html = html.clone();
        async move { document(html) }
    })
}

fn document(html: Bytes) -> Response {
    let mut response = Response::new(Body::from(html));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HTML);
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    response
}

/// A path that is not served: a page for people, JSON for programs. Neither repeats the path.
///
/// Behind an address with a path of its own (`https://vpn.example.org/edge/`) a desktop asks for `network_info` below that
/// path, and at a 404 deletes what it knows of its instance.
pub(super) async fn unknown(uri: Uri, headers: HeaderMap) -> Response {
    static PAGE: LazyLock<Bytes> = LazyLock::new(|| NOT_FOUND.1.html());
    if uri.path().ends_with("/enrollment/network_info") {
        return ApiError::NotServed.into_response();
    }
    let mut response = ApiError::UnknownPath.into_response();
    if !uri.path().starts_with("/api/") && accepts_html(&headers) {
        response.extensions_mut().remove::<Answer>();
        let page = document(PAGE.clone());
        *response.headers_mut() = page.headers().clone();
        *response.body_mut() = page.into_body();
    }
    response
}

/// A browser that goes somewhere names HTML itself; programs ask for anything.
fn accepts_html(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accepted.split(',').any(|range| {
        let kind = range.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case("text/html")
    })
}
