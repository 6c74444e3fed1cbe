//! Refuses what a page of another site makes a browser send.
//!
//! Browsers say where a request comes from in `Sec-Fetch-Site` and `Origin`, and no page can change either. Programs say
//! nothing, or what they like: a stock desktop's HTTP client writes its window's origin, which is `tauri://localhost`,
//! `http://tauri.localhost`, or `null` (tauri-apps/plugins-workspace#3210). So these pass where no browser speaks.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};

use crate::config::PublicOrigin;

static FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// The window of a desktop on Windows, whose pages are part of the program.
const APP_HOST: &str = "tauri.localhost";

/// Whether a request that may change something comes from another site.
pub(super) fn is_refused(method: &Method, uri: &Uri, headers: &HeaderMap, public: &PublicOrigin) -> bool {
    !matches!(*method, Method::GET | Method::HEAD) && is_cross_site(uri, headers, public)
}

/// Whether a page of another site has sent this, whatever the method: a websocket is opened by a GET.
pub(super) fn is_cross_site(uri: &Uri, headers: &HeaderMap, public: &PublicOrigin) -> bool {
    let mut sites = headers.get_all(&FETCH_SITE).iter();
    let site = sites.next().map(HeaderValue::as_bytes);
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let origin = origins.next();
    if origins.next().is_some() || sites.next().is_some() {
        return true;
    }
    match site {
        None | Some(b"none") => {}
        // The browser has compared both itself, and knows the address that it called: behind a proxy that writes a
        // `Host` of its own, nobody here does.
        Some(b"same-origin") => return false,
        Some(_) => return true,
    }
    let Some(origin) = origin else { return false };
    let Ok(origin) = origin.to_str() else { return true };
    let host = uri.authority().map(|authority| authority.as_str().as_bytes());
    let host = host.or_else(|| headers.get(header::HOST).map(HeaderValue::as_bytes)).unwrap_or_default();
    !is_own(origin, host, public) && (site.is_some() || !is_app(origin))
}

/// The public address; or the address that the browser itself called, since not every Edge is told its public one.
fn is_own(origin: &str, host: &[u8], public: &PublicOrigin) -> bool {
    let Some((scheme, authority)) = web(origin) else { return false };
    if web(public.as_str()).is_some_and(|(_, public)| public.eq_ignore_ascii_case(authority)) {
        return origin.eq_ignore_ascii_case(public.as_str());
    }
    // Proxies write the port into `Host` also where browsers leave it out of `Origin`.
    let default_port: &[u8] = if scheme.eq_ignore_ascii_case("https") { b":443" } else { b":80" };
    let named = [host, host.strip_suffix(default_port).unwrap_or(host)];
    named.into_iter().any(|host| host.eq_ignore_ascii_case(authority.as_bytes()))
}

/// What a window that is part of a program writes.
fn is_app(origin: &str) -> bool {
    match web(origin) {
        Some((_, authority)) => authority.eq_ignore_ascii_case(APP_HOST),
        None => origin == "null" || origin.contains("://"),
    }
}

/// Scheme, and host with port, of an origin of the web.
fn web(origin: &str) -> Option<(&str, &str)> {
    let (scheme, authority) = origin.split_once("://")?;
    let is_web = scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http");
    is_web.then_some((scheme, authority))
}
