//! Answers the certificate authority that looks whether the public address is ours.

use axum::{
    extract::State,
    http::Uri,
    response::{IntoResponse as _, Response},
};

use super::error::ApiError;
use crate::acme::Challenges;

pub(super) async fn answer(State(challenges): State<Challenges>, uri: Uri) -> Result<Response, ApiError> {
    // As it came: a token has nothing that would be written with a percent sign.
    let token = uri.path().rsplit('/').next().unwrap_or_default();
    challenges.key_authorization(token).map(|text| text.into_response()).ok_or(ApiError::UnknownPath)
}
