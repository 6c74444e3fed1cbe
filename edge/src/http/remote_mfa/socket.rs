//! One websocket, from the upgrade to its close.
//!
//! It ends at the first of these: the answer, a newer socket for the same login, its peer's end, its own end, the end of
//! the Edge. Exactly one text leaves it, and only with the answer.

use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::{
    io,
    time::{Instant, sleep_until, timeout, timeout_at},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message,
        protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode},
    },
};

use super::{approval, intake::Intake, seats::WebsocketLimits, waiters::Waiters};
use crate::{
    core_client::{CallContext, CoreClient},
    drain::Drain,
    http::json::ToJson as _,
};

/// Proxies in front give up on a connection that is silent for a minute.
pub const PING_INTERVAL: Duration = Duration::from_secs(20);

/// Clients have nothing to say. Allocated for each socket, so small.
const READ_BUFFER: usize = 1024;
/// Room for the one text and some control frames.
const WRITE_BUFFER_MAX: usize = 4 * 1024;
const MESSAGE_MAX: usize = 4 * 1024;
/// What a client may send in all, pongs included; none sends more than a few.
const MESSAGES_MAX: u32 = 256;
/// The same in bytes, which fragments and headers count to as well.
const INTAKE_MAX: usize = 64 * 1024;
/// Pings that may go unanswered.
const PINGS_MAX: u32 = 2;
/// How long the last of them waits for its answer.
const PONG_LIMIT: Duration = Duration::from_secs(5);
/// How long a peer may take to answer our close.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);

type Socket = WebSocketStream<Intake<TokioIo<Upgraded>>>;

/// What is waited for. Holds the token: no `Debug`.
pub(super) struct Wait {
    pub(super) core: CoreClient,
    pub(super) drain: Drain,
    pub(super) token: String,
    pub(super) context: CallContext,
}

/// Why a socket ends. Holds the key: no `Debug`.
pub(super) enum Ending {
    Approved(String),
    /// Another socket waits for the same login.
    Replaced,
    /// Nobody approved in time.
    Late,
    /// Core knows of no such login any more.
    Refused,
    /// Core does not do its part.
    Failed,
    /// More than a message may have.
    TooLarge,
    TooTalkative,
    /// Not the protocol.
    Unreadable,
    /// Closed, broken, or silent.
    Gone,
    /// The Edge stops.
    CutOff,
}

/// Waits for the upgrade, then for the ending, and closes.
pub(super) async fn serve(upgrade: OnUpgrade, mut wait: Wait, limits: WebsocketLimits, waiters: Waiters) {
    let Ok(Ok(upgraded)) = timeout(limits.lifetime, upgrade).await else { return };
    let deadline = Instant::now() + limits.lifetime;
    wait.context.deadline = deadline;
    let intake = Intake::new(TokioIo::new(upgraded), INTAKE_MAX);
    let mut socket = WebSocketStream::from_raw_socket(intake, Role::Server, Some(config())).await;
    let mut place = waiters.enter(&wait.token);
    let ending = tokio::select! {
        biased;
        ending = approval::ask(&wait.core, &wait.token, &wait.context) => ending,
        () = place.is_replaced() => Ending::Replaced,
        ending = listen(&mut socket, limits.ping_interval) => ending,
        () = sleep_until(deadline) => Ending::Late,
        () = cut_off(&wait.drain, limits.grace) => Ending::CutOff,
    };
    drop(place);
    close(&mut socket, ending).await;
}

fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(WRITE_BUFFER_MAX)
        .max_message_size(Some(MESSAGE_MAX))
        .max_frame_size(Some(MESSAGE_MAX))
}

/// Reads until the peer gives a reason to stop. Pings are answered by the library, ours are sent here.
async fn listen(socket: &mut Socket, ping_interval: Duration) -> Ending {
    let (mut unanswered, mut heard) = (0, 0);
    let mut next_ping = Instant::now() + ping_interval;
    loop {
        tokio::select! {
            message = socket.next() => {
                match message {
                    Some(Ok(_)) => {}
                    Some(Err(Error::Capacity(_))) => return Ending::TooLarge,
                    Some(Err(Error::Protocol(_) | Error::Utf8(_))) => return Ending::Unreadable,
                    Some(Err(_)) if socket.get_ref().is_spent() => return Ending::TooTalkative,
                    Some(Err(_)) | None => return Ending::Gone,
                }
                (unanswered, heard) = (0, heard + 1);
                if heard > MESSAGES_MAX {
                    return Ending::TooTalkative;
                }
            }
            () = sleep_until(next_ping) => {
                if unanswered == PINGS_MAX || socket.send(Message::Ping(Bytes::new())).await.is_err() {
                    return Ending::Gone;
                }
                unanswered += 1;
                // From now on: after a freeze the peer still gets its time for each.
                let patience = if unanswered == PINGS_MAX { PONG_LIMIT.min(ping_interval) } else { ping_interval };
                next_ping = Instant::now() + patience;
            }
        }
    }
}

/// Shortly before the Edge ends in any case, so that the close still leaves.
async fn cut_off(drain: &Drain, grace: Duration) {
    let begun = drain.begun().await;
    sleep_until(begun + grace.saturating_sub(2 * CLOSE_LIMIT)).await;
}

async fn close(socket: &mut Socket, ending: Ending) {
    let Some(frame) = ending.close_frame() else { return };
    let closing = async {
        if let Ending::Approved(key) = &ending {
            socket.send(Message::text(success(key))).await?;
        }
        socket.close(Some(frame)).await?;
        while let Some(Ok(_)) = socket.next().await {}
        // What is still on its way is taken: if it met a closed socket, the peer might lose our last words.
        io::copy(socket.get_mut().connection(), &mut io::sink()).await?;
        Ok::<(), Error>(())
    };
    match timeout_at(Instant::now() + CLOSE_LIMIT, closing).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a websocket broke while it was closed"),
        Err(_) => tracing::debug!("a websocket's peer did not answer the close"),
    }
}

/// Exactly what clients know: a field more, or a message more, and the desktop gives up.
fn success(preshared_key: &str) -> String {
    let mut text = br#"{"type":"mfa_success","preshared_key":"#.to_vec();
    preshared_key.write(&mut text);
    text.push(b'}');
    String::from_utf8(text).expect("JSON of text is text")
}

impl Ending {
    /// `None` for a peer that is not there.
    fn close_frame(&self) -> Option<CloseFrame> {
        let (code, reason) = match self {
            Self::Approved(_) => (CloseCode::Normal, ""),
            Self::Replaced => (CloseCode::Policy, "Another connection waits for this login"),
            Self::Late => (CloseCode::Again, "The login was not approved in time"),
            Self::Refused => (CloseCode::Policy, "The login is not valid any more"),
            Self::Failed => (CloseCode::Error, "The login could not be finished"),
            Self::TooLarge => (CloseCode::Size, "The message is too large"),
            Self::TooTalkative => (CloseCode::Policy, "Too many messages"),
            Self::Unreadable => (CloseCode::Protocol, "The message cannot be read"),
            Self::Gone => return None,
            Self::CutOff => (CloseCode::Restart, "The server restarts"),
        };
        Some(CloseFrame { code, reason: reason.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_text_is_json_whatever_the_key_is() {
        assert_eq!(success("AQ=="), r#"{"type":"mfa_success","preshared_key":"AQ=="}"#);
        let odd: serde_json::Value = serde_json::from_str(&success("\"\\\n")).unwrap();
        assert_eq!(odd["preshared_key"], "\"\\\n");
    }
}
