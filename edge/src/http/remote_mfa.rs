//! Remote approval: a desktop holds a websocket open until its person approves the login on a phone.
//!
//! The socket carries one message, once: the key. Whoever has no live login is turned away before the upgrade, and what
//! a client sends is counted and dropped.

mod approval;
mod intake;
mod opening;
mod seats;
mod socket;
mod waiters;

use axum::{extract::State, response::Response};
use postern_proto::proxy::ClientMfaTokenValidationRequest;

use self::{opening::Opening, socket::Wait};
pub use self::{
    seats::{WebsocketLimits, Websockets},
    socket::PING_INTERVAL,
};
use super::{
    App,
    client_info::{ClientAddress, ClientInfo},
    error::ApiError,
};

/// Opens the websocket of a live login.
pub(super) async fn open(
    State(app): State<App>,
    Opening { token, handshake }: Opening,
    ClientAddress(address): ClientAddress,
    ClientInfo(context): ClientInfo,
) -> Result<Response, ApiError> {
    let seat = app.0.websockets.take_seat(address).ok_or(ApiError::TooManyWebsockets)?;
    let question = ClientMfaTokenValidationRequest { token: token.clone() };
    let reply = app.0.core.call(question, context.clone()).await?;
    if !reply.token_valid {
        return Err(ApiError::NoLogin);
    }
    let (response, upgrade) = handshake.accept();
    let wait = Wait { core: app.0.core.clone(), drain: app.0.drain.clone(), token, context };
    app.0.websockets.serve(seat, upgrade, wait);
    Ok(response)
}
