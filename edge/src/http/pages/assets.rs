//! Scripts, styles and the icon: embedded, and named by their digest so that a browser asks again and downloads once.

use aws_lc_rs::digest::{SHA256, digest};
use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
    routing::{MethodRouter, get},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

/// Asked for again each time, since the Edges behind one address need not have the same version.
const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");

/// One file that pages load.
pub(super) struct Asset {
    pub(super) path: &'static str,
    kind: &'static str,
    content: &'static str,
}

macro_rules! asset {
    ($name:literal, $kind:literal) => {
        Asset {
            path: concat!("/assets/", $name),
            kind: $kind,
            content: include_str!(concat!("../../../web/assets/", $name)),
        }
    };
    ($name:literal) => {
        asset!($name, "text/javascript; charset=utf-8")
    };
}

pub(super) const ASSETS: &[Asset] = &[
    asset!("style.css", "text/css; charset=utf-8"),
    asset!("icon.svg", "image/svg+xml"),
    asset!("api.js"),
    asset!("link.js"),
    asset!("openid-callback.js"),
    asset!("openid-mfa-callback.js"),
    asset!("openid-mfa.js"),
    asset!("page.js"),
    asset!("password-reset.js"),
    asset!("password.js"),
    asset!("ready.js"),
    asset!("returned.js"),
    asset!("start.js"),
    asset!("web-address.js"),
];

impl Asset {
    pub(super) fn served<S: Clone + Send + Sync + 'static>(&self) -> MethodRouter<S> {
        let (kind, content) = (HeaderValue::from_static(self.kind), Bytes::from_static(self.content.as_bytes()));
        let tag = tag(&content);
        get(move |asked: HeaderMap| {
            let is_held = is_held(&asked, &tag);
            let body = if is_held { Body::empty() } else { Body::from(content.clone()) };
            let mut response = Response::new(body);
            if is_held {
                *response.status_mut() = StatusCode::NOT_MODIFIED;
            }
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, kind.clone());
            headers.insert(header::CACHE_CONTROL, REVALIDATE);
            headers.insert(header::ETAG, tag.clone());
            async move { response }
        })
    }
}

fn tag(content: &[u8]) -> HeaderValue {
    let digest = URL_SAFE_NO_PAD.encode(&digest(&SHA256, content).as_ref()[..12]);
    HeaderValue::from_str(&format!("\"{digest}\"")).expect("base64 is fine in a header")
}

/// The browser has this very version. A proxy that compresses marks tags as weak.
fn is_held(asked: &HeaderMap, tag: &HeaderValue) -> bool {
    let held = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    held.flat_map(|value| value.split(','))
        .any(|held| held.trim().trim_start_matches("W/").as_bytes() == tag.as_bytes())
}
