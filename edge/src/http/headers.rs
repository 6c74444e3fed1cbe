//! The headers of every response, also of errors. Their values are made once.

use std::mem;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use postern_proto::version::{ANNOUNCED, COMPONENT_VERSION};

use super::arrival::RequestId;
use crate::{
    config::{NodeName, PublicUrl},
    tunnel::registry::TunnelRegistry,
};

const CORE_VERSION: HeaderName = HeaderName::from_static("defguard-core-version");
const CORE_CONNECTED: HeaderName = HeaderName::from_static("defguard-core-connected");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const TRUE: HeaderValue = HeaderValue::from_static("true");
const FALSE: HeaderValue = HeaderValue::from_static("false");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const CLOSE: HeaderValue = HeaderValue::from_static("close");

/// The same for every response. Nothing that this Edge serves is meant for a browser to run or to frame.
const FIXED: &[(&str, &str)] = &[
    (COMPONENT_VERSION, ANNOUNCED),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("permissions-policy", "geolocation=(), camera=(), microphone=()"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("x-frame-options", "DENY"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"),
];

/// A year; only where people come by TLS.
const HSTS: &str = "max-age=31536000";
const NAME: &str = "x-postern-edge";
/// More than any response has.
const CAPACITY: usize = 24;

/// Writes the headers that every response carries.
#[derive(Debug)]
pub(super) struct ResponseHeaders {
    /// What never changes, with room for the rest: cloning a map is cheaper than filling one.
    fixed: HeaderMap,
    fixed_of_api: HeaderMap,
    registry: TunnelRegistry,
}

/// What the headers depend on beside the Edge itself.
pub(super) struct Occasion<'a> {
    pub(super) request_id: &'a RequestId,
    pub(super) is_api: bool,
    /// The client should come back over a new connection.
    pub(super) closes: bool,
}

impl ResponseHeaders {
    pub(super) fn new(public_url: PublicUrl, exposed_name: Option<&NodeName>, registry: TunnelRegistry) -> Self {
        let mut fixed = HeaderMap::with_capacity(CAPACITY);
        for &(name, value) in FIXED {
            fixed.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        if public_url == PublicUrl::Https {
            fixed.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(HSTS));
        }
        if let Some(name) = exposed_name {
            let value = HeaderValue::from_str(name.as_str()).expect("a name is visible ASCII");
            fixed.insert(HeaderName::from_static(NAME), value);
        }
        let mut fixed_of_api = fixed.clone();
        fixed_of_api.insert(header::CACHE_CONTROL, NO_STORE);
        Self { fixed, fixed_of_api, registry }
    }

    pub(super) fn write(&self, headers: &mut HeaderMap, occasion: &Occasion<'_>) {
        let fixed = if occasion.is_api { &self.fixed_of_api } else { &self.fixed };
        let own = mem::replace(headers, fixed.clone());
        headers.extend(own);
        if let Some(version) = self.registry.core_version_header() {
            headers.insert(CORE_VERSION, version);
        }
        headers.insert(CORE_CONNECTED, if self.registry.is_connected() { TRUE } else { FALSE });
        headers.insert(REQUEST_ID, occasion.request_id.to_header());
        if occasion.closes {
            headers.insert(header::CONNECTION, CLOSE);
        }
    }
}
