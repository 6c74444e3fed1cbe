//! How Core introduces itself on each call.

use http::Uri;
use postern_proto::version::{
    self, ANNOUNCED, COMPONENT_SYSTEM, COMPONENT_VERSION, CORE_INSTANCE, CORE_ZONE, LINK, LINK_REVISION,
};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
};

use crate::{edge::EdgeAddress, instance::CoreInstance, transport::TransportError};

/// Text of an Edge that is kept or shown, in characters.
const TEXT_MAX: usize = 1000;

/// A call with the two headers that every call carries.
pub(crate) fn introduce<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    let system = MetadataValue::try_from(version::system()).expect("three parts of visible ASCII");
    request.metadata_mut().insert(COMPONENT_VERSION, MetadataValue::from_static(ANNOUNCED));
    request.metadata_mut().insert(COMPONENT_SYSTEM, system);
    request
}

/// The call that becomes a tunnel: it also says who and where we are, and that we speak `postern.link`.
pub(crate) fn introduce_link<T>(message: T, core: &CoreInstance) -> Request<T> {
    let mut request = introduce(message);
    let instance: MetadataValue<Ascii> = core.as_str().parse().expect("an instance id is visible ASCII");
    request.metadata_mut().insert(LINK, MetadataValue::from_static(LINK_REVISION));
    request.metadata_mut().insert(CORE_INSTANCE, instance);
    if let Some(zone) = core.zone() {
        let zone: MetadataValue<Ascii> = zone.as_str().parse().expect("a zone is visible ASCII");
        request.metadata_mut().insert(CORE_ZONE, zone);
    }
    request
}

pub(crate) fn origin(scheme: &str, address: &EdgeAddress) -> Uri {
    Uri::builder()
        .scheme(scheme)
        .authority(address.to_string())
        .path_and_query("/")
        .build()
        .expect("an EdgeAddress is an authority")
}

/// The peer said it; otherwise the connection failed.
pub(crate) fn is_from_peer(status: &Status) -> bool {
    !std::error::Error::source(status).is_some_and(|source| source.is::<TransportError>())
}

/// The peer's own words, fit for a terminal.
pub(crate) fn words(status: &Status) -> String {
    printable(status.message())
}

/// No control characters, and not more than a screen.
pub(crate) fn printable(text: &str) -> String {
    text.chars().take(TEXT_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
